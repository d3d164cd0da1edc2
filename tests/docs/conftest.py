"""The code of the guide on plugins, imported from its text."""

from __future__ import annotations

import importlib
import sys

import pytest
from doc_blocks import DOCS, named


@pytest.fixture
def import_from_the_guide(tmp_path, monkeypatch):
    """Return a function that imports files of the guide by name, each after those that it imports itself."""
    shown, names = named(DOCS / "guides" / "plugins.md"), []
    monkeypatch.syspath_prepend(tmp_path)

    def imported(*files):
        for name in files:
            (tmp_path / f"{name}.py").write_text(shown[f"{name}.py"], encoding="utf-8")
            names.append(name)
        return [importlib.import_module(name) for name in files]

    yield imported
    for name in names:
        sys.modules.pop(name, None)
