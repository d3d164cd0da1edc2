from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from snncompress import Host, InputError, ModelError, PluginError, Settings, StateError, Strategy, hookimpl
from snncompress.hookspecs import REGISTRATION
from snncompress.plugins import guarded


class One(Strategy):
    use: Literal["one"] = "one"


class Two(Strategy):
    use: Literal["two"] = "two"


def plugin(**hooks):
    """Return a plugin whose registration hooks return these things."""

    def made(result):
        def hook():
            return result

        return hookimpl(hook)

    return SimpleNamespace(**{f"snncompress_{kind}": made(result) for kind, result in hooks.items()})


def fault_of(thing):
    """Register a plugin that must be refused; return the one line that says why."""
    host = Host()
    host.register(thing, name="bad", distribution="bad-dist")
    assert host.plugins == []
    assert not host.manager.get_plugins()
    assert all(not things for things in host.catalogue.values())
    (fault,) = host.faults
    assert str(fault).startswith("plugin 'bad' of bad-dist: ")
    assert "\n" not in str(fault)
    return fault.what


def test_what_a_plugin_provides_is_in_the_catalogue_and_has_an_owner():
    host = Host()
    host.register(plugin(strategies=[One], backends={"b": "math:sqrt"}), name="p", distribution="d", version="3")
    assert host.catalogue["strategies"] == {"one": One}
    owner = host.owner("strategies", "one")
    assert (owner.name, owner.distribution, owner.version) == ("p", "d", "3")
    assert owner.provides == {"strategies": ("one",), "backends": ("b",)}
    assert host.owner("strategies", "two") is None
    assert host.excuse() == ""


def test_hosts_share_nothing():
    first, second = Host(), Host()
    first.register(plugin(strategies=[One]), name="p")
    assert second.catalogue["strategies"] == {}
    assert second.plugins == []


def test_two_owners_of_one_name_are_a_fault_that_names_both_and_costs_only_that_name():
    host = Host()
    host.register(plugin(strategies=[One]), name="first")
    host.register(plugin(strategies=[One, Two]), name="second")
    assert [fault.what for fault in host.faults] == [
        "strategy 'one' is provided by 'first' and by 'second'; the one of 'first' is used"
    ]
    assert host.owner("strategies", "one").name == "first"
    assert host.owner("strategies", "two").name == "second"


def test_two_plugins_of_one_name_are_a_fault():
    host = Host()
    host.register(plugin(strategies=[One]), name="p")
    host.register(plugin(strategies=[Two]), name="p")
    assert [fault.what for fault in host.faults] == ["another plugin is named 'p' too; rename one of the entry points"]
    assert host.catalogue["strategies"] == {"one": One}


def test_one_object_under_two_names_is_a_fault():
    host, thing = Host(), plugin(strategies=[One])
    host.register(thing, name="p")
    host.register(thing, name="q")
    assert [fault.what for fault in host.faults] == ["is the same object as plugin 'p'"]
    assert host.manager.get_name(thing) == "p"


class NoUse(Settings):
    size: int = 1


class OpenUse(Strategy):
    use: str = "open"


class NoMethods(Settings):
    use: Literal["metric"] = "metric"


@pytest.mark.parametrize(
    ("thing", "what"),
    [
        (SimpleNamespace(), "implements no snncompress hook"),
        (plugin(strategie=[One]), "unknown hook 'snncompress_strategie'; did you mean 'snncompress_strategies'?"),
        (
            SimpleNamespace(snncompress_strategies=lambda: [One]),
            "hook 'snncompress_strategies' is not marked; put @hookimpl before it",
        ),
        (plugin(strategies=One), "hook 'strategies' must return a list of classes, not ModelMetaclass"),
        (plugin(strategies="one"), "hook 'strategies' must return a list of classes, not str"),
        (plugin(strategies=None), "hook 'strategies' must return a list of classes, not NoneType"),
        (plugin(strategies=[One, One]), "hook 'strategies' returns 'one' twice"),
        (plugin(strategies=[int]), "'int' in hook 'strategies' is no class derived from Settings"),
        (plugin(strategies=[NoUse]), "'NoUse' in hook 'strategies' needs a field `use: Literal[\"name\"] = \"name\"`"),
        (
            plugin(strategies=[OpenUse]),
            "'OpenUse' in hook 'strategies' needs a field `use: Literal[\"name\"] = \"name\"`",
        ),
        (plugin(metrics=[NoMethods]), "'NoMethods' in hook 'metrics' lacks 'yields'"),
        (plugin(backends=["b"]), "hook 'backends' must return a mapping from name to place, not list"),
        (
            plugin(backends={"b": "math"}),
            "hook 'backends' must map each name to a place such as 'package.module:Class', not 'b' to 'math'",
        ),
        (
            plugin(zoos={"z": "folder"}),
            "hook 'zoos' must map each name to a folder as pathlib.Path, not 'z' to 'folder'",
        ),
    ],
)
def test_a_broken_plugin_provides_nothing(thing, what):
    assert fault_of(thing) == what


def test_a_hook_that_raises_is_a_fault_with_its_traceback():
    class Raises:
        @hookimpl
        def snncompress_strategies(self):
            raise OSError("no\ndisk")

    host = Host()
    host.register(Raises(), name="bad")
    (fault,) = host.faults
    assert fault.what == "hook 'strategies' failed: OSError: no disk"
    assert "Traceback" in fault.detail
    assert host.manager.get_plugins() == set()
    assert host.excuse() == " (or a plugin that failed to load provides it: 'bad', see `snncompress plugins`)"


def test_an_argument_that_the_hook_does_not_have_is_a_fault():
    class Asks:
        @hookimpl
        def snncompress_strategies(self, network):
            return [network]

    class Misspells:
        @hookimpl
        def snncompress_run_step(self, stp):
            return stp

    assert fault_of(Asks()) == "hook 'snncompress_strategies' has no argument 'network'; it takes none"
    assert fault_of(Misspells()) == "hook 'snncompress_run_step' has no argument 'stp'; did you mean 'step'?"


def test_a_wrapper_that_does_not_yield_is_a_fault_and_leaves_nothing_behind():
    class Wraps:
        @hookimpl
        def snncompress_strategies(self):
            return [One]

        @hookimpl(wrapper=True)
        def snncompress_run_step(self, step):
            return step

    assert fault_of(Wraps()).startswith("PluginValidationError: ")


def test_a_hook_of_a_newer_core_may_be_optional():
    class Newer:
        @hookimpl
        def snncompress_strategies(self):
            return [One]

        @hookimpl(optionalhook=True)
        def snncompress_telepathy(self, thought):
            return thought

    host = Host()
    host.register(Newer(), name="newer")
    assert host.faults == []
    assert host.catalogue["strategies"] == {"one": One}


def test_a_wrapper_sees_what_the_step_returns():
    class Core:
        @hookimpl(trylast=True)
        def snncompress_run_step(self, step):
            return [step]

    class Wrapper:
        @hookimpl(wrapper=True)
        def snncompress_run_step(self, network):
            result = yield
            return [*result, network]

    host = Host()
    host.register(Core(), name="core")
    host.register(Wrapper(), name="wrapper")
    assert host.manager.hook.snncompress_run_step(step="s", network="n", run=None) == ["s", "n"]


def test_make_imports_a_place_once():
    host = Host()
    host.register(plugin(backends={"list": "collections:OrderedDict"}), name="p")
    assert host.make("backends", "list") is host.make("backends", "list")


def test_make_says_which_name_is_unknown_and_which_place_is_wrong():
    host = Host()
    host.register(plugin(backends={"good": "math:nothing"}), name="p")
    with pytest.raises(InputError, match=r"^unknown backend 'goood'; did you mean 'good'\?$"):
        host.make("backends", "goood")
    with pytest.raises(PluginError, match=r"^backend 'good' of plugin 'p' cannot be imported from 'math:nothing'"):
        host.make("backends", "good")


def test_guarded_turns_foreign_errors_into_ours_and_keeps_the_cause():
    def fails():
        raise ZeroDivisionError("by zero")

    def fails_knowingly():
        raise StateError("nobody owns it")

    assert guarded(lambda: 3, "counting", ModelError) == 3
    with pytest.raises(
        ModelError, match=r"^counting failed: ZeroDivisionError: by zero \(test_plugins\.py:\d+\)$"
    ) as caught:
        guarded(fails, "counting", ModelError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(StateError, match=r"^nobody owns it$"):
        guarded(fails_knowingly, "counting", ModelError)


@pytest.mark.parametrize("kind", list(REGISTRATION))
def test_every_registration_hook_reaches_the_catalogue(kind):
    places = {hook: {"a": "m:C"} for hook in ("backends", "modules", "neurons")}
    things = {**places, "zoos": {"a": Path("here")}}
    architecture = ("resolved", "build", "roles", "checkpoint_path", "needs_code", "builds_on_meta")
    others = (
        "inputs",
        "fingerprint",
        "load",
        "encode",
        "yields",
        "measure",
        "energy",
        "source",
        "scope",
        "export",
        "render",
        "file_name",
        "apply",
        "check",
    )
    complete = type("A", (NoMethods,), dict.fromkeys(architecture + others, classmethod(lambda cls: cls)))
    host = Host()
    host.register(plugin(**{kind: things.get(kind, [complete])}), name="p")
    assert host.faults == []
    assert list(host.catalogue[kind]) == ["a" if kind in things else "metric"]
