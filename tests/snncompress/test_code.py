import sys

import pytest

from snncompress import DataError, ModelError, import_object

FILES = {
    "my_net.py": "class Net:\n    pass\n",
    "raising.py": "raise ValueError('at import')\n",
    "ending.py": "import sys\nsys.exit(3)\n",
    "unclosed.py": "x = (\n",
    "needing.py": "import nothing_there\n",
    "misnaming.py": "from my_net import Nett\n",
    "folder/__init__.py": "",
    "folder/inner.py": "class Net:\n    pass\n",
}


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    yield
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py").replace("/", "."), None)
    sys.modules.pop("folder", None)


def test_a_place_is_imported():
    assert import_object("my_net:Net").__name__ == import_object("folder.inner:Net").__name__ == "Net"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("my_nett:Net", "module 'my_nett' cannot be imported; did you mean 'my_net:Net'?"),
        ("my_net.py:Net", "'my_net.py' cannot be imported; did you mean 'my_net:Net'? (a module is named without .py)"),
        ("folder.iner:Net", "module 'folder.iner' cannot be imported; did you mean 'folder.inner:Net'?"),
        ("quite_other:Net", "module 'quite_other' cannot be imported; install it, or put its folder on PYTHONPATH"),
        ("my_net:Nett", "module 'my_net' has no 'Nett'; did you mean 'Net'?"),
        ("needing:X", "module 'nothing_there' cannot be imported (needed by 'needing'); install it, or put its folder"),
        ("misnaming:X", "module 'misnaming' cannot be imported: cannot import name 'Nett' from 'my_net'"),
        ("unclosed:X", "module 'unclosed' cannot be imported: '(' was never closed"),
        ("raising:X", "importing 'raising' failed: ValueError: at import (raising.py:1)"),
        ("ending:X", "module 'ending' ends the program where it is imported; put what it does as a program under"),
    ],
)
def test_what_cannot_be_imported_is_one_line(place, said):
    for error in (ModelError, DataError):
        with pytest.raises(error) as caught:
            import_object(place, error=error)
        assert str(caught.value).startswith(f"{place!r}: ")
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
