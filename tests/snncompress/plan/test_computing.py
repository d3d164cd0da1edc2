import pytest

from snncompress import Inputs, PipelineError, Strategy
from snncompress.plan import computing
from snncompress.plan.computing import REFERENCE, computing_path


class Epochs(Strategy):
    """A step that says how long it trains."""

    use: str = "epochs"
    number: int = 0

    def num_epochs(self, earlier):
        return self.number + sum(step.number for step in earlier)


class Settings:
    """The settings of a pipeline that the choice looks at."""

    def __init__(self, speed="auto", timesteps=4):
        self.speed, self.timesteps = speed, timesteps


DIGITS = Inputs((1, 16, 16), 10, num_train=1000)


def path(epochs, *, speed="auto", inputs=DIGITS, timesteps=4, device="cpu", earlier=()):
    return computing_path(Settings(speed, timesteps), Epochs(number=epochs), earlier, inputs, device)


@pytest.fixture
def _compiler(monkeypatch):
    monkeypatch.setattr(computing, "compiler", lambda: "/usr/bin/cc")


@pytest.mark.usefixtures("_compiler")
def test_a_long_step_is_compiled_and_a_short_one_is_not():
    assert path(5) == "compiled"  # 5 x 1,000 samples x 4 time steps are 20,000
    assert path(4) == "fused"
    assert path(1, inputs=Inputs((3, 32, 32), 10, num_train=50_000)) == "compiled"
    assert path(10, timesteps=1) == "fused"


@pytest.mark.usefixtures("_compiler")
def test_the_whole_step_counts_also_what_earlier_steps_set():
    assert path(2, earlier=(Epochs(number=3),)) == "compiled"


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(computing, "compiler", lambda: None)
    assert path(500) == "fused"


@pytest.mark.usefixtures("_compiler")
def test_what_trains_nothing_and_what_is_no_cpu_take_the_own_way():
    assert path(0) == REFERENCE
    assert path(0, speed="compiled") == REFERENCE
    assert path(50, device="cuda") == REFERENCE


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("speed", ["reference", "fused", "compiled"])
def test_a_setting_decides_alone(speed):
    assert path(50, speed=speed) == path(1, speed=speed) == path(50, speed=speed, device="cuda") == speed


def test_the_path_is_part_of_the_key(plan_of, tiny):
    keys = {speed: plan_of({**tiny(), "speed": speed}).keys for speed in ("reference", "fused")}
    assert set(keys["reference"]) & set(keys["fused"]) == {keys["fused"][0]}  # the network before the first step


def test_asking_for_what_this_machine_cannot_compile_is_an_error(plan_of, tiny, monkeypatch):
    monkeypatch.setattr("snncompress.plan.plan.compiler", lambda: None)
    with pytest.raises(PipelineError, match=r"speed: no C compiler is found; install gcc, or set `speed: fused`"):
        plan_of({**tiny(), "speed": "compiled"})
