"""Install the five outside distributions into one folder, as ``importlib.metadata`` sees them."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def lay_out(source: Path, target: Path) -> None:
    """Do what pip does with a pure wheel of one module."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for module in source.glob("*.py"):
        shutil.copy(module, target)
    info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = "".join(f"{name} = {place}\n" for name, place in project["entry-points"]["snncompress"].items())
    (info / "entry_points.txt").write_text(f"[snncompress]\n{points}", encoding="utf-8")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    for source in sorted(path for path in HERE.iterdir() if (path / "pyproject.toml").is_file()):
        lay_out(source, target)
    return target


@pytest.fixture
def program(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the real command line with the five distributions installed."""

    def run(*arguments: str, site: Path = installed, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SNNCOMPRESS_")}
        path = os.pathsep.join([str(site), *map(str, (ROOT, ROOT / "plugins", ROOT / "model_zoo"))])
        return subprocess.run(
            [sys.executable, "-c", "from snncompress.cli import main; main(prog_name='snncompress')", *arguments],
            env=inherited | {"PYTHONPATH": path} | variables,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    return run
