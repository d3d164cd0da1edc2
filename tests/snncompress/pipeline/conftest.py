"""Small components, registered on a fresh host: enough to try every rule of the pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from snncompress import (
    Count,
    Counts,
    Fraction,
    Host,
    Names,
    Number,
    PipelineError,
    Settings,
    Strategy,
    Training,
    hookimpl,
)
from snncompress.pipeline import load_pipeline


class Net(Settings):
    use: Literal["net"] = "net"
    width: Count = 4
    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = True

    def resolved(self, inputs, timesteps):
        del inputs, timesteps
        return self

    def build(self):
        raise AssertionError

    def roles(self):
        return {}

    def checkpoint_path(self):
        return None


class Folder(Net):
    use: Literal["file"] = "file"
    folder: str = Field(description="The folder.")
    shorthand: ClassVar[str] = "folder"


class Digits(Settings):
    use: Literal["digits"] = "digits"
    size: Count = 8

    def inputs(self):
        raise AssertionError

    def fingerprint(self):
        raise AssertionError

    def load(self, seed):
        raise AssertionError(seed)


class Direct(Settings):
    use: Literal["direct"] = "direct"

    def encode(self, x, timesteps, generator):
        raise AssertionError((x, timesteps, generator))


class Parts(Settings):
    qk: Fraction = 0.0
    mlp: Fraction = 0.0


class Prune(Strategy):
    """Zero the smallest weights."""

    use: Literal["prune.l1"] = "prune.l1"
    fraction: Fraction = Field(description="Part of the weights to remove. More words.")
    select: Names = ("synapse",)
    plain: tuple[int, ...] = (1,)
    sizes: list[int] = Field(default_factory=list)
    steps: int | Literal["auto"] = "auto"
    quiet: bool = False
    parts: Fraction | Parts = 0.0
    finetune: Training | None = None


class Train(Strategy):
    """Train every weight."""

    use: Literal["train"] = "train"
    epochs: Count = Field(description="Passes over the data.")
    lr: Annotated[Number, Field(gt=0)] = 0.1
    schedule: Literal["cosine", "step"] = "cosine"
    snapshots: Counts = ()


class Accuracy(Settings):
    use: Literal["accuracy"] = "accuracy"
    top: Count = 1

    def yields(self):
        return ("accuracy",)

    def measure(self, network, bench):
        raise AssertionError((network, bench))


class Parameters(Accuracy):
    use: Literal["parameters"] = "parameters"

    def yields(self):
        return ("parameters", "parameters_nonzero")


class Text(Settings):
    use: Literal["text"] = "text"
    file_name: ClassVar[str] = "report.txt"

    def render(self, record):
        raise AssertionError(record)


class Tiny:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @hookimpl
    def snncompress_architectures(self):
        return [Net, Folder]

    @hookimpl
    def snncompress_datasets(self):
        return [Digits]

    @hookimpl
    def snncompress_encoders(self):
        return [Direct]

    @hookimpl
    def snncompress_strategies(self):
        return [Prune, Train]

    @hookimpl
    def snncompress_metrics(self):
        return [Accuracy, Parameters]

    @hookimpl
    def snncompress_reporters(self):
        return [Text]

    @hookimpl
    def snncompress_zoos(self):
        return {"tiny": self._folder}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host()
    made.register(Tiny(tmp_path / "zoo"), name="tiny")
    assert made.faults == []
    return made


@pytest.fixture
def valid() -> dict[str, Any]:
    return {
        "version": 1,
        "name": "digits",
        "model": {"use": "net", "width": 3},
        "data": "digits",
        "steps": [{"use": "train", "epochs": 2}, {"use": "prune.l1", "fraction": 0.5}],
        "measure": ["accuracy", "parameters"],
        "budget": [{"metric": "parameters_nonzero", "at_most_of_baseline": 0.5}],
    }


@pytest.fixture
def lines(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that writes a text to ``p.yaml``, reads it, and returns its problems."""
    monkeypatch.chdir(tmp_path)

    def read(text: str, *overrides: str) -> list[str]:
        Path("p.yaml").write_text(text, encoding="utf-8")
        try:
            load_pipeline("p.yaml", host, overrides=overrides)
        except PipelineError as error:
            return list(error.lines)
        return []

    return read
