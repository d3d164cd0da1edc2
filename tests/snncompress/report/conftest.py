import pytest

from snncompress.record import Measurement, Record
from snncompress.report.comparison import Entry
from snncompress.report.statistics import spread
from snncompress.report.summary import summarised

DATA = {"use": "digits", "size": 8}


@pytest.fixture
def measured():
    """Return a function that makes a measurement; correct predictions of 500 are an accuracy."""

    def make(value, unit="1", how="by hand", **more):
        return Measurement(value=value, unit=unit, how=how, **more)

    return make


@pytest.fixture
def accuracy(measured):
    """Return a function that makes the accuracy of so many right predictions of 500, in 10 classes of equal size."""
    return lambda right: measured(
        right / 500,
        how=f"{right} of 500 test samples, mean output over 4 step(s)",
        better="higher",
        samples=500,
        chance=0.1,
    )


@pytest.fixture
def entry(accuracy, measured):
    """Return a function that makes an entry from right predictions of 500 and non-zero parameters, a number per seed."""

    def make(name, right, cost=(), *, seeds=None, data=None, **more):
        seeds = tuple(range(len(right))) if seeds is None else seeds
        values = {"accuracy": summarised([accuracy(number) for number in right])}
        if cost:
            values["parameters_nonzero"] = summarised([measured(value, "parameters", better="lower") for value in cost])
        energies = {model: spread(mj) for model, mj in more.pop("energies", {}).items()}
        return Entry(
            name=name, folder=f"runs/{name}", seeds=seeds, data=data or DATA, values=values, energies=energies, **more
        )

    return make


@pytest.fixture
def record(accuracy):
    """Return a function that makes a record of a seed."""

    def make(seed=0, name="tiny", right=490, baseline=495, **changes):
        whole = {
            "name": name,
            "pipeline": {"name": name, "seed": seed, "data": DATA},
            "environment": {"device": "cpu"},
            "steps": (),
            "baseline": {"accuracy": accuracy(baseline)},
            "final": {"accuracy": accuracy(right)},
            "artifact": "final",
        }
        return Record(**(whole | changes))

    return make
