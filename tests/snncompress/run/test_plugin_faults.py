"""What plugins return is looked at where they return it: one line that names the plugin."""

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from torch import nn

from snncompress import (
    DataError,
    Host,
    Inputs,
    Measurement,
    ModelError,
    PluginError,
    Settings,
    StepError,
    Strategy,
    hookimpl,
    measure,
    run,
)

PIPELINE = {
    "version": 1,
    "name": "faulty",
    "model": {"use": "snntorch.convnet", "channels": [4]},
    "data": {"use": "digits", "size": 8},
    "timesteps": 2,
    "steps": [{"use": "train", "epochs": 1, "batch_size": 500}],
    "speed": "reference",
}


class Forgetful(Strategy):
    """Return something else than a network."""

    use: Literal["faulty.step"] = "faulty.step"
    what: str = "none"

    def apply(self, network, run):
        del run
        return {"none": None, "module": network.module, "text": "network"}.get(self.what, network)

    def check(self, facts):
        del facts
        return {"check": None, "strings": ["a problem"]}.get(self.what, ())


ONE = Measurement(value=1.0, unit="1", how="by hand")


class Odd(Settings):
    """Return something else than it yields."""

    use: Literal["faulty.metric"] = "faulty.metric"
    what: str = "other"

    def yields(self):
        return ("odd",)

    def measure(self, network, bench):
        del network, bench
        if self.what == "raises":
            raise KeyError("inside")
        kinds = {"other": {"even": ONE}, "more": {"odd": ONE, "even": ONE}, "number": {"odd": 1.0}, "list": [ONE]}
        return kinds.get(self.what)


class NoData(Settings):
    """Say or load something else than data."""

    use: Literal["faulty.data"] = "faulty.data"
    what: str = "none"

    def inputs(self):
        return (1, 8, 8) if self.what == "shape" else Inputs((1, 8, 8), 10)

    def fingerprint(self):
        return "same"

    def load(self, seed):
        if self.what == "raises":
            raise ValueError(f"no such split for seed {seed}")


class NoSpikes(Settings):
    """Encode to nothing."""

    use: Literal["faulty.encoder"] = "faulty.encoder"

    def encode(self, x_B, timesteps, generator):
        del x_B, timesteps, generator


class NoPage(Settings):
    """Render nothing."""

    use: Literal["faulty.page"] = "faulty.page"
    file_name: ClassVar[str] = "page.txt"

    def render(self, record):
        del record


class NoTime(Settings):
    """Build a module and forget its time."""

    use: Literal["faulty.model"] = "faulty.model"
    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = False

    def resolved(self, inputs, timesteps):
        del inputs, timesteps
        return self

    def build(self):
        return nn.Linear(2, 2)

    def roles(self):
        return {}

    def checkpoint_path(self):
        return None


@pytest.fixture
def host():
    kinds = {
        "strategies": Forgetful,
        "metrics": Odd,
        "datasets": NoData,
        "encoders": NoSpikes,
        "reporters": NoPage,
        "architectures": NoTime,
    }
    hooks = {f"snncompress_{kind}": staticmethod(hookimpl(lambda one=one: [one])) for kind, one in kinds.items()}
    known = Host.from_environment()
    known.register(type("Plugin", (), hooks), name="faulty")
    assert known.faults == []
    return known


def told(error, host, **changes):
    with pytest.raises(error) as caught:
        run(PIPELINE | changes, silent=True, host=host)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(("what", "given"), [("none", "None"), ("module", "'Sequential'"), ("text", "'str'")])
def test_a_step_that_returns_no_network(folder, host, what, given):
    line = told(StepError, host, steps=[{"use": "faulty.step", "what": what}])
    assert line == f"strategy 'faulty.step' of plugin 'faulty' returned {given}, where 'Network' is needed"
    assert not Path("runs/faulty/record.json").exists()


def test_a_check_that_returns_no_problems(folder, host):
    line = told(PluginError, host, steps=[{"use": "faulty.step", "what": "check"}])
    assert line.startswith("check of strategy 'faulty.step' of plugin 'faulty' failed: TypeError: 'NoneType' object")
    line = told(PluginError, host, steps=[{"use": "faulty.step", "what": "strings"}])
    assert line == "check of strategy 'faulty.step' of plugin 'faulty' returned 'str', where 'Problem' is needed"


METRIC = "metric 'faulty.metric' of plugin 'faulty'"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("other", " yields ['odd'], but returns ['even'] and does not return ['odd']; its `yields` must name what it"),
        ("more", " yields ['odd'], but returns ['even']; its `yields` must name what it returns"),
        ("number", ": 'odd' returned 'float', where 'Measurement' is needed"),
        ("list", " returned 'list', where 'Mapping' is needed"),
        ("none", " returned None, where 'Mapping' is needed"),
        ("raises", " failed: KeyError: 'inside' (test_plugin_faults.py:"),
    ],
)
def test_a_metric_that_does_not_return_what_it_yields(folder, host, what, said):
    """In a pipeline with a budget on it, and on a network in hand."""
    metric = {"use": "faulty.metric", "what": what}
    line = told(StepError, host, measure=[metric], budget=[{"metric": "odd", "at_most": 2}])
    assert line.startswith(METRIC + said)
    network = run(PIPELINE, silent=True, host=host).network
    with pytest.raises(StepError) as caught:
        measure(network, "digits", [metric])
    assert str(caught.value).startswith(METRIC + said)


def test_data_that_are_no_data(folder, host):
    line = told(DataError, host, data={"use": "faulty.data"})
    assert line == "loading the data set 'faulty.data' returned None, where 'Data' is needed"
    line = told(DataError, host, data={"use": "faulty.data", "what": "raises"})
    assert line.startswith("loading the data set 'faulty.data' failed: ValueError: no such split for seed 0 (test_")
    with pytest.raises(Exception, match="data: data set 'faulty.data' returned 'tuple', where 'Inputs' is needed"):
        run(PIPELINE | {"data": {"use": "faulty.data", "what": "shape"}}, silent=True, host=host)


def test_an_encoder_a_page_and_a_model_that_are_none(folder, host):
    assert told(ModelError, host, encode={"use": "faulty.encoder"}) == (
        "encoder 'faulty.encoder' returned None, where 'Tensor' is needed"
    )
    line = told(StepError, host, report=[{"use": "faulty.page"}])
    assert line == "reporter 'faulty.page' of plugin 'faulty' returned None, where 'str' is needed"
    with pytest.raises(
        Exception, match="'faulty.model' must build a torch module and a snncompress.Time, not 'Linear'"
    ):
        run(PIPELINE | {"model": "faulty.model"}, silent=True, host=host)
