"""What a person at a terminal sees, and what a pipe gets."""

import os
import subprocess
import sys

import pytest

from snncompress import Measurement, Record

pty = pytest.importorskip("pty", reason="this system has no pseudo terminals")


@pytest.fixture
def run_folder(tmp_path):
    final = {"accuracy": Measurement(value=0.875, unit="1", how="by hand")}
    record = Record(name="tiny", pipeline={}, environment={}, steps=(), baseline=final, final=final, artifact="final")
    record.write(tmp_path / "record.json")
    return tmp_path


def on_terminal(arguments):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "snncompress", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as running:
        os.close(theirs)
        found = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
        assert running.wait(60) == 0, running.stderr.read()
    return found.decode()


def read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux says so when the other side has closed
        return b""


def test_a_terminal_gets_tables_and_a_pipe_gets_plain_text(run_folder):
    seen = on_terminal(["report", str(run_folder)])
    command = [sys.executable, "-m", "snncompress", "report", str(run_folder)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "│ accuracy │" in seen
    assert "accuracy  0.8750    0.8750  same    1" in piped.splitlines()
    assert "│" not in piped
    assert "\x1b" not in piped


def test_another_reporter_prints_as_it_is_on_a_terminal_too(run_folder):
    assert on_terminal(["report", str(run_folder), "--format", "html"]).startswith("<!DOCTYPE html>")
