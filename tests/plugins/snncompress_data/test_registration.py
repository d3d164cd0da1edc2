from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

import snncompress_data
from snncompress import Dataset, Encoder, Host
from snncompress_data import (
    Digits,
    DirectEncoder,
    ImageFolder,
    LatencyEncoder,
    NumpyArchive,
    Parquet,
    PoissonEncoder,
    PythonData,
)


def test_the_host_finds_all_data_sets_and_encoders():
    host = Host()
    host.register(snncompress_data, name="data")
    assert host.faults == []
    assert set(host.catalogue["datasets"]) == {"digits", "parquet", "image_folder", "numpy", "python"}
    assert set(host.catalogue["encoders"]) == {"direct", "poisson", "latency"}


def test_registration_imports_nothing_heavy():
    code = (
        "import sys, snncompress_data as plugin;"
        "plugin.snncompress_datasets(); plugin.snncompress_encoders();"
        "print([name for name in ('torch', 'pyarrow', 'sklearn', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "component",
    [
        Digits(),
        Parquet(train="a", test="b", size=4),
        ImageFolder(root=".", size=4),
        NumpyArchive(file="a.npz", num_classes=2),
        PythonData(function="a:b", shape=[1, 2, 2], num_classes=2),
    ],
)
def test_data_sets_meet_the_protocol(component):
    assert isinstance(component, Dataset)


@pytest.mark.parametrize("component", [DirectEncoder(), PoissonEncoder(), LatencyEncoder()])
def test_encoders_meet_the_protocol(component):
    assert isinstance(component, Encoder)


def test_every_setting_is_described():
    for known in [*snncompress_data.snncompress_datasets(), *snncompress_data.snncompress_encoders()]:
        undescribed = [name for name, field in known.model_fields.items() if name != "use" and not field.description]
        assert undescribed == [], known


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (lambda: Digits(size=9), "8, 16 or 32"),
        (lambda: Digits(sise=8), "Extra inputs"),
        (lambda: ImageFolder(root=".", size=True), "tuple"),
        (lambda: ImageFolder(root=".", size=[4, 0]), "greater than or equal to 1"),
        (lambda: ImageFolder(root=".", size=[4, 4, 4]), "at most 2"),
        (lambda: ImageFolder(root=".", size=4, channels=2), "1 or 3"),
        (lambda: NumpyArchive(file="a", num_classes=2, validation=0), "a count"),
        (lambda: NumpyArchive(file="a", num_classes=2, validation=1.0), "a count"),
        (lambda: NumpyArchive(file="a", num_classes=2, validation=True), "a count"),
        (lambda: Parquet(train=[], test="b", size=4), "at least 1"),
        (lambda: Parquet(train="a", test="b", size=4, mean=[0.5, 0.5, 0.5]), "belong together"),
        (lambda: Parquet(train="a", test="b", size=4, mean=[0.5], std=[1]), "1 values for 3 channels"),
        (lambda: Parquet(train="a", test="b", size=4, channels=1, mean=[0.5], std=[0]), "greater than 0"),
        (lambda: PoissonEncoder(gain=0), "greater than 0"),
        (lambda: LatencyEncoder(threshold=1.5), "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        settings()


def test_one_number_stands_for_height_and_width():
    assert ImageFolder(root=".", size=4).size == (4, 4)
    assert ImageFolder(root=".", size=[4, 6]).size == (4, 6)


@pytest.mark.parametrize("known", [*snncompress_data.snncompress_datasets(), *snncompress_data.snncompress_encoders()])
def test_a_json_schema_can_be_printed(known):
    assert known.model_json_schema()["properties"]["use"]["const"] == known.model_fields["use"].default
