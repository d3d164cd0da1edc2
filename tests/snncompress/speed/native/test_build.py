"""Compiling C once on a machine: the folder, damaged files, no compiler, several processes at once."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from snncompress.compilers import compiler
from snncompress.errors import ModelError
from snncompress.speed.native import build
from snncompress.speed.native.build import library

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")

SOURCE = "long answer(void) { return 42; }"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "snncompress" / "kernels"


def answer(source=SOURCE):
    return library(source).answer()


def test_it_is_compiled_once(folder):
    assert answer() == 42
    (file,) = folder.iterdir()
    before = file.stat()
    assert answer() == 42
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert answer(SOURCE.replace("42", "43")) == 43
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "no library", None], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_made_anew(folder, content, tmp_path, monkeypatch):
    answer()
    (whole,) = folder.iterdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "damaged"))
    damaged = tmp_path / "damaged" / "snncompress" / "kernels" / whole.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(whole.read_bytes()[:1000] if content is None else content.encode())
    assert answer() == 42
    assert [file.stat().st_size for file in damaged.parent.iterdir()] == [whole.stat().st_size]


@pytest.mark.parametrize("size", [2, 100])
def test_a_damaged_file_of_the_right_size_is_made_anew(folder, size):
    answer()
    (whole,) = folder.iterdir()
    key = whole.stem.partition("-")[0]
    whole.rename(folder / "elsewhere")
    (folder / f"{key}-{size}.so").write_bytes(b"x" * size)
    assert answer() == 42
    assert whole.is_file()


def in_processes(count, **environment):
    """Compile in processes that import nothing but the module."""
    code = (
        "import sys; from importlib.util import spec_from_file_location, module_from_spec\n"
        f"spec = spec_from_file_location('build', {build.__file__!r}); build = module_from_spec(spec)\n"
        "spec.loader.exec_module(build)\n"
        f"try:\n    print(build.library({SOURCE!r}).answer())\n"
        "except build.ModelError as error:\n    print(error)"
    )
    run = [sys.executable, "-c", code]
    started = [
        subprocess.Popen(run, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        for _ in range(count)
    ]
    return [process.communicate()[0].strip() for process in started]


def test_processes_that_compile_the_same_at_once_do_not_meet(folder):
    assert in_processes(4) == ["42"] * 4
    assert {file.suffix for file in folder.iterdir()} == {".so"}


@pytest.mark.parametrize("cache", ["file", "/proc/none"])
def test_a_cache_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path, monkeypatch, cache):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    build._temporary.cache_clear()
    try:
        assert answer() == 42
        (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert folder.name == f"snncompress-kernels-{os.getuid()}"
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        build._temporary.cache_clear()


def test_a_temporary_folder_that_others_may_write_to_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planted = tmp_path / f"snncompress-kernels-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    build._temporary.cache_clear()
    try:
        assert build._temporary() != planted
        assert build._temporary().parent == tmp_path
    finally:
        build._temporary.cache_clear()


def test_without_a_compiler_it_is_said_what_to_do(folder):
    (said,) = in_processes(1, PATH="", CC="")
    assert said == "no C compiler is found; install gcc, or choose the path 'fused'"


def test_a_compiler_that_fails_is_quoted(folder):
    with pytest.raises(ModelError, match=r"^the C compiler fails: .*error.*; choose the path 'fused'$"):
        library("this is no C;")
    assert list(folder.iterdir()) == []


def test_code_that_cannot_be_loaded_is_an_error_of_its_own(folder):
    with pytest.raises(ModelError, match=r"^compiled code cannot be loaded: .*missing_function"):
        library("extern long missing_function(void); long (*taken)(void) = missing_function;")


def test_another_machine_compiler_or_source_is_another_file(folder, monkeypatch):
    answer()
    monkeypatch.setattr(build, "_machine", lambda: "another machine")
    answer()
    monkeypatch.setattr(build, "_version", lambda: "another compiler")
    answer()
    assert len(list(folder.iterdir())) == 3


def test_a_compiler_named_by_the_environment_comes_first(tmp_path):
    own = tmp_path / "mycc"
    own.write_text(f'#!/bin/sh\necho used >> {tmp_path / "log"}\nexec {compiler()} "$@"\n')
    own.chmod(0o755)
    assert in_processes(1, CC=str(own), XDG_CACHE_HOME=str(tmp_path / "cache")) == ["42"]
    assert "used" in Path(tmp_path / "log").read_text()


def test_what_is_loaded_is_a_library(folder):
    assert isinstance(library(SOURCE), ctypes.CDLL)
