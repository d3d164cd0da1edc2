"""The rules of the design that a reader could break without noticing."""

import ast
import importlib
import inspect
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

import snncompress
from snncompress import hookspecs

ROOT = Path(__file__).parents[1]
CORE = ROOT / "snncompress"
PLUGINS = sorted(path for path in [*(ROOT / "plugins").iterdir(), *(ROOT / "model_zoo").iterdir()] if path.is_dir())
PLUGINS = [path for path in PLUGINS if path.name.startswith("snncompress_")]

FIRST = {
    "errors",
    "frame",
    "settings",
    "selectors",
    "training",
    "record",
    "components",
    "strategy",
    "hookspecs",
    "plugins",
}
"""The modules at the top of the package, left of every room; they know each other and no room."""

MAY_IMPORT = {
    "pipeline": set(),
    "network": set(),
    "zoo": set(),
    "report": set(),
    "speed": {"network"},
    "measure": {"pipeline", "network"},
    "plan": {"pipeline", "network", "zoo", "speed"},
    "run": {"pipeline", "network", "speed", "measure", "zoo", "plan", "report"},
    "cli": {"pipeline", "network", "speed", "measure", "zoo", "plan", "run", "report"},
    "testing": {"pipeline", "network", "speed", "measure", "zoo", "plan", "run", "report"},
}
"""The rooms, and the rooms that each may import."""

LIBRARIES = {
    "spikingjelly": "snncompress_spikingjelly",
    "snntorch": "snncompress_snntorch",
    "torch_pruning": "snncompress_structured",
}

TOP = {"snncompress", "plugins", "model_zoo", "tests", "docs"}


def sources(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run: all but the bodies of ``if TYPE_CHECKING``."""
    yield node
    children = node.orelse if is_type_checking(node) else ast.iter_child_nodes(node)
    for child in children:
        yield from running_nodes(child)


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports when it runs, anywhere in it."""
    found: set[str] = set()
    for node in running_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_of(names: set[str]) -> set[str]:
    return {parts[1] for name in names if (parts := name.split("."))[0] == "snncompress" and len(parts) > 1} & set(
        MAY_IMPORT
    )


def test_the_top_level_folders_are_fixed():
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert found - {"dist", "build", "runs", "venv"} == TOP


def test_every_room_is_known():
    found = {path.name for path in CORE.iterdir() if path.is_dir() and any(sources(path))}
    assert found <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_the_rooms_left_of_it(room):
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in sources(CORE / room)
        for other in rooms_of(imports(path)) - MAY_IMPORT[room] - {room}
    }
    assert wrong == set()


def test_the_arrows_have_no_cycle():
    order: list[str] = []
    left = dict(MAY_IMPORT)
    while left:
        free = sorted(room for room, needs in left.items() if needs <= set(order))
        assert free, f"a cycle among {sorted(left)}"
        order += free
        left = {room: needs for room, needs in left.items() if room not in free}
    assert order.index("pipeline") < order.index("plan") < order.index("run") < order.index("cli")


@pytest.mark.parametrize("name", sorted(FIRST))
def test_the_first_modules_import_no_room(name):
    assert rooms_of(imports(CORE / f"{name}.py")) == set()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_uses_only_what_everyone_may_use(plugin):
    wrong: set[str] = set()
    for path in sources(plugin):
        core = {name for name in imports(path) if name.split(".")[0] == "snncompress"}
        wrong |= {
            f"{path.name}: {name}" for name in core if name.removeprefix("snncompress.") not in snncompress.__all__
        }
    assert wrong == set()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_no_other_plugin(plugin):
    others = {path.name for path in PLUGINS} - {plugin.name}
    found = {name.split(".")[0] for path in sources(plugin) for name in imports(path)}
    assert found & others == set()


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_each_snn_library_is_imported_in_one_plugin_only(library):
    found = {
        path.relative_to(folder.parent).parts[0]
        for folder in [CORE, *PLUGINS]
        for path in sources(folder)
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert found <= {LIBRARIES[library]}


WITHOUT_A_PUBLIC_NAME = {"torch.utils._python_dispatch.TorchDispatchMode": "torch documents it under this name alone"}


@pytest.mark.parametrize("folder", [CORE, *PLUGINS], ids=lambda path: path.name)
def test_no_private_module_of_a_library_is_imported(folder):
    found = {
        name
        for path in sources(folder)
        for name in imports(path)
        if name.split(".")[0] not in {"snncompress", "__future__"}
        and any(part.startswith("_") for part in name.split("."))
    }
    assert found - set(WITHOUT_A_PUBLIC_NAME) == set()


def test_the_core_imports_no_plugin():
    found = {name.split(".")[0] for path in sources(CORE) for name in imports(path)}
    assert found & {path.name for path in PLUGINS} == set()


@pytest.mark.parametrize("name", snncompress.__all__)
def test_every_public_name_resolves(name):
    assert getattr(snncompress, name) is not None


def test_the_public_names_are_those_of_the_table():
    assert sorted(snncompress.__all__) == snncompress.__all__
    assert set(snncompress.__all__) == set(snncompress._HOME)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = snncompress.nothing


HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("snncompress_")}


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_documented(name):
    page = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
    assert inspect.getdoc(HOOKS[name])
    assert f"## `{name}(" in page


def test_the_page_of_hooks_is_up_to_date():
    page = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(ROOT / "docs/generate_hooks.py"))["page"]() == page


def test_registration_hooks_take_no_arguments():
    assert {f"snncompress_{kind}" for kind in hookspecs.REGISTRATION} <= set(HOOKS)
    for kind in hookspecs.REGISTRATION:
        assert not inspect.signature(HOOKS[f"snncompress_{kind}"]).parameters


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in caught
    )


def test_only_the_plugin_host_catches_everything():
    found = {
        str(path.relative_to(ROOT))
        for folder in [CORE, *PLUGINS]
        for path in sources(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    }
    assert found == {"snncompress/plugins.py"}


SEEDS = {
    "torch.manual_seed",
    "torch.seed",
    "torch.random.manual_seed",
    "torch.random.seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.mps.manual_seed",
    "numpy.random.seed",
    "random.seed",
    "accelerate.utils.set_seed",
    "timm.utils.random_seed",
}
"""What seeds a global generator; a generator of one's own has a method of the same name."""


def meanings(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for: ``np`` for ``numpy``, ``seed`` for ``random.seed``."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def seeding(source: str) -> list[str]:
    """Return the whole names of what a file seeds, called or handed on, whatever name it was imported by."""
    tree = ast.parse(source)
    known = meanings(tree)
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, point, rest = ast.unparse(node).partition(".")
            whole = known.get(first, first) + point + rest
            found += [whole] if whole in SEEDS else []
    return found


def test_only_run_seeds_the_global_generators():
    found = {
        str(path.relative_to(ROOT)): sorted(set(names))
        for folder in [CORE, *PLUGINS]
        for path in sources(folder)
        if (names := seeding(path.read_text(encoding="utf-8")))
    }
    assert found == {"snncompress/run/generators.py": ["numpy.random.seed", "random.seed", "torch.manual_seed"]}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import numpy as np\nnp.random.seed(1)", ["numpy.random.seed"]),
        ("import numpy\nnumpy.random.seed(1)", ["numpy.random.seed"]),
        ("from numpy import random as r\nr.seed(1)", ["numpy.random.seed"]),
        ("from numpy.random import seed\nseed(1)", ["numpy.random.seed"]),
        ("import random\ndef f():\n    random.seed(1)", ["random.seed"]),
        ("from random import seed as s\ns(1)", ["random.seed"]),
        ("import torch\ntorch.manual_seed(1)", ["torch.manual_seed"]),
        ("from torch import manual_seed\nmap(manual_seed, [1])", ["torch.manual_seed"]),
        ("import torch.cuda as c\nc.manual_seed_all(1)", ["torch.cuda.manual_seed_all"]),
        ("import torch\ntorch.Generator().manual_seed(1)", []),
        ("import random\nrandom.Random(1)\nseed = 3\nprint(seed)", []),
        ("import numpy as np\nnp.random.get_state()\nnp.random.default_rng(1)", []),
    ],
)
def test_a_seed_is_seen_by_whatever_name(source, found):
    assert seeding(source) == found


@pytest.mark.parametrize("room", ["pipeline", "report", "cli"])
def test_rooms_without_torch_do_not_mention_it(room):
    wrong = [path.name for path in sources(CORE / room) if any(name.split(".")[0] == "torch" for name in imports(path))]
    assert wrong == []


@pytest.mark.parametrize("folder", [CORE, *PLUGINS], ids=lambda path: path.name)
def test_modules_stay_small(folder):
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_every_entry_point_names_a_package_that_exists():
    for plugin in PLUGINS:
        assert inspect.ismodule(importlib.import_module(plugin.name))


def always_holds(test: ast.expr) -> bool:
    """Tell whether an assertion cannot fail, whatever it is about: ``... or True``, ``1``, ``f"..."``."""
    if isinstance(test, ast.BoolOp):
        return (any if isinstance(test.op, ast.Or) else all)(map(always_holds, test.values))
    return (isinstance(test, ast.Constant) and bool(test.value)) or isinstance(test, ast.JoinedStr)


def test_every_assertion_can_fail():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and always_holds(node.test)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "holds"),
    [("a == b or True", True), ("a or (b and 1)", False), ("1 and 'x'", True), ("a or b", False), ("False", False)],
)
def test_an_assertion_that_cannot_fail_is_seen(source, holds):
    assert always_holds(ast.parse(source, mode="eval").body) is holds
