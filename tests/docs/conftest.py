"""The code of the guide on plugins, imported from its text."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "plugins.md"


@pytest.fixture
def import_from_the_guide(tmp_path, monkeypatch):
    """Return a function that imports files of the guide by name, each after those that it imports itself."""
    text, names = GUIDE.read_text(encoding="utf-8"), []
    monkeypatch.syspath_prepend(tmp_path)

    def imported(*files):
        for name in files:
            found = re.search(rf"```python\n# {name}\.py\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            (tmp_path / f"{name}.py").write_text(found[1], encoding="utf-8")
            names.append(name)
        return [importlib.import_module(name) for name in files]

    yield imported
    for name in names:
        sys.modules.pop(name, None)
