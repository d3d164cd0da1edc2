from __future__ import annotations

import importlib
import sys

import pytest
import torch
from pydantic import ValidationError

from snncompress import Data, DataError, Inputs
from snncompress.measure import DataBench
from snncompress_data import DirectEncoder, PythonData

SOURCE = """
import numpy as np
import torch
from snncompress import Data, Inputs
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

NUMBER = 3


def samples(number, *, shape=(1, 2, 2), dtype=torch.float32, labels=None):
    labels = torch.arange(number) % 2 if labels is None else labels
    return TensorDataset(torch.ones(number, *shape, dtype=dtype), labels)


def sound(number=4):
    return samples(number), samples(2), samples(1)


def loaders():
    return tuple(DataLoader(split, batch_size=2) for split in sound())


def whole(num_classes=2, num_train=None):
    return Data(*sound(), Inputs((1, 2, 2), num_classes, num_train=num_train))


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])

    def __len__(self):
        return 1


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


def wrong(case, in_loaders=False):
    train, validation, test = sound()
    found = {
        "nothing": None,
        "two": (train, test),
        "a tensor": (train, torch.ones(3), test),
        "no length": (train, iter([1]), test),
        "a stream": (train, Stream(), test),
        "text": (train, "validation", test),
        "empty": (train, samples(0), test),
        "a shape": (train, validation, samples(1, shape=(1, 2, 3))),
        "a dtype": (samples(1, dtype=torch.int64), validation, test),
        "no tensor": ([([1.0], 0)], validation, test),
        "three": ([(1, 2, 3)], validation, test),
        "float labels": (samples(1, labels=torch.tensor([0.0])), validation, test),
        "vector labels": (samples(1, labels=torch.tensor([[0, 1]])), validation, test),
        "a label": (samples(1, labels=torch.tensor([2])), validation, test),
        "no number": (TensorDataset(torch.full((1, 1, 2, 2), float("nan")), torch.zeros(1).long()), validation, test),
        "ragged": ([(torch.ones(1, 2, 2), 0), (torch.ones(1, 2, 3), 0)], validation, test),
        "arrays": ([(np.ones((1, 2, 2)), 0)], validation, test),
        "a loader of a stream": (DataLoader(Endless()), validation, test),
    }[case]
    return tuple(DataLoader(split, batch_size=2) for split in found) if in_loaders else found
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write the user's module where it can be imported, and forget it afterwards."""
    (tmp_path / "my_samples.py").write_text(SOURCE)
    (tmp_path / "needs_more.py").write_text("import a_package_nobody_has\n")
    (tmp_path / "misspelt.py").write_text("def load(:\n")
    (tmp_path / "takes_what_is_not_there.py").write_text("from math import tau_squared\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("my_samples", "needs_more", "misspelt", "takes_what_is_not_there", "only_here"):
        sys.modules.pop(name, None)


def dataset(function="my_samples:sound", **settings):
    return PythonData(function=function, **{"shape": [1, 2, 2], "num_classes": 2, **settings})


@pytest.mark.usefixtures("module")
def test_a_functions_splits_are_taken_as_they_are():
    data = dataset(arguments={"number": 7}).load(0)
    assert [len(data.train), len(data.validation), len(data.test)] == [7, 2, 1]
    assert torch.equal(data.train[0][0], torch.ones(1, 2, 2))
    assert data.inputs == Inputs((1, 2, 2), 2)


@pytest.mark.usefixtures("module")
def test_loaders_are_taken_as_they_are():
    data = dataset("my_samples:loaders").load(0)
    assert [len(labels_B) for _, labels_B in data.train] == [2, 2]


@pytest.mark.usefixtures("module")
def test_a_whole_data_is_taken_if_it_says_what_the_settings_say():
    assert isinstance(dataset("my_samples:whole").load(0), Data)
    assert dataset("my_samples:whole", arguments={"num_train": 4}).load(0).inputs.num_train == 4
    with pytest.raises(
        DataError, match=r"returned data of Inputs\(.*num_classes=3.*settings say Inputs\(.*num_classes=2"
    ):
        dataset("my_samples:whole", arguments={"num_classes": 3}).load(0)


def test_inputs_run_no_code():
    frames = dataset("no_such_module:load", shape=[5, 2, 4, 4], kind="frames")
    assert frames.inputs() == Inputs((5, 2, 4, 4), 2, "frames")
    assert frames.needs_code is True


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("nothing", "returned None; it should be \\(train, validation, test\\) or a Data"),
        ("two", "returned a tuple of 2; "),
        ("no length", "validation is a list_iterator; it should be a map-style data set or a DataLoader"),
        ("a stream", "validation is a Stream; it should be a map-style"),
        ("a loader of a stream", "train is a DataLoader without a length; it should be one over a map-style"),
        ("text", "validation is a str; it should be a map-style"),
        ("empty", "validation is empty"),
    ],
)
def test_anything_else_is_refused(case, why):
    with pytest.raises(DataError, match=f"^'my_samples:wrong':? ?{why}"):
        dataset("my_samples:wrong", arguments={"case": case}).load(0)


def bench_over(data):
    return DataBench(data.load(0), DirectEncoder(), 0)


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("loaders", [False, True], ids=["data sets", "loaders"])
@pytest.mark.parametrize(
    ("case", "why"),
    [
        (
            "a tensor",
            r"batch 1 of the validation data is a tensor .*, and each batch must be a pair \(x_B..., labels_B\)",
        ),
        ("a shape", r"batch 1 of the test data has samples of shape \[1, 2, 3\]; the data's shape is \[1, 2, 2\]"),
        ("no tensor", r"x of batch 1 of the train data is a list of 1; it must be a tensor or a NumPy array"),
        ("three", r"batch 1 of the train data is a list of 3, and each batch must be a pair .*; leave out the rest"),
        ("float labels", r"batch 1 of the train data: labels must be one whole number .* not float32 \[1\]"),
        ("vector labels", r"batch 1 of the train data: labels must be one whole number .* not int64 \[1, 2\]"),
        ("a label", r"batch 1 of the train data: the label 2 at index 0 lies outside 0\.\.1"),
        ("no number", r"batch 1 of the train data: the sample at index 0 holds nan; x must be finite"),
        ("ragged", r"reading batch 1 of the train data failed: .*equal size"),
    ],
)
def test_what_the_settings_say_is_compared_with_the_first_batch_of_each_split(case, why, loaders):
    with pytest.raises(DataError, match=f"^{why}"):
        bench_over(dataset("my_samples:wrong", arguments={"case": case, "in_loaders": loaders})).look()


@pytest.mark.usefixtures("module")
def test_whole_numbers_and_arrays_are_taken():
    for case in ("a dtype", "arrays"):
        bench = bench_over(dataset("my_samples:wrong", arguments={"case": case}))
        bench.look()
        x_B, labels_B = next(iter(bench.batches("train")))
        assert x_B.tolist() == [[[[1, 1], [1, 1]]]]
        assert labels_B.dtype == torch.int64


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("my_smaples:sound", "module 'my_smaples' cannot be imported; install it, or put its folder on PYTHONPATH"),
        ("my_smaples.inner:sound", "module 'my_smaples' cannot be imported"),
        ("my_samples:sond", "module 'my_samples' has no 'sond'; did you mean 'sound'"),
        ("my_samples:NUMBER", "'my_samples:NUMBER' is a int, which cannot be called"),
        ("needs_more:load", "module 'a_package_nobody_has' cannot be imported .needed by 'needs_more'"),
        ("misspelt:load", "module 'misspelt' cannot be imported: "),
        ("takes_what_is_not_there:load", "cannot be imported: cannot import name 'tau_squared'"),
    ],
)
def test_a_missing_function_or_import_is_named(function, why):
    with pytest.raises(DataError, match=why):
        dataset(function).load(0)


@pytest.mark.usefixtures("module")
def test_arguments_that_the_function_does_not_take_are_refused():
    with pytest.raises(DataError, match=r"arguments: 'my_samples:sound' does not take them: .*'numbr'"):
        dataset(arguments={"numbr": 3}).load(0)


def test_the_working_directory_is_looked_in(module, monkeypatch):
    folder = module / "elsewhere"
    folder.mkdir()
    (folder / "only_here.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(folder)
    assert len(dataset("only_here:sound").load(0).train) == 4


def test_the_fingerprint_follows_source_and_arguments(module):
    first = dataset().fingerprint()
    assert dataset().fingerprint() == first
    assert dataset("my_samples:loaders").fingerprint() == first
    changed = dataset(arguments={"number": 3}).fingerprint()
    (module / "my_samples.py").write_text(SOURCE + "\nNUMBER = 4\n")
    assert len({first, changed, dataset().fingerprint()}) == 3


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("function", "why"),
    [("my_smaples:f", "module 'my_smaples'"), ("no.such:f", "module 'no.such'"), ("sys:exit", "no source file")],
)
def test_a_fingerprint_needs_a_source_file(function, why):
    with pytest.raises(DataError, match=why):
        dataset(function).fingerprint()


@pytest.mark.parametrize(
    "settings",
    [{"function": "no_colon"}, {"function": "a.:f"}, {"shape": [2, 2]}, {"kind": "frames"}, {"shape": [1, 2, 0]}],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        dataset(**settings)
