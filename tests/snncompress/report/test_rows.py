import csv
import sys

import pytest

from snncompress import Entry, InputError
from snncompress.report import compare, summarise
from snncompress.report.rows import rows_of

COLUMNS = ["run", "steps.1.fraction", "value", "unit", "mean", "std", "n", "verdict", "against", "difference"]
COLUMNS += ["low", "high", "p", "pairs", "failed"]


@pytest.fixture
def comparison(entry):
    """Two runs of three seeds and one that failed: 10, 11 and 12 images more, and 940 parameters fewer."""
    dense = entry("dense", (450, 450, 450), (1000, 1000, 1000))
    sparse = entry("sparse", (460, 461, 462), (60, 60, 60), settings={"steps.1.fraction": 0.94})
    return compare([dense, sparse, Entry(name="broken", folder="runs/broken", failed="the loss is nan, at once")])


def test_a_csv_file_has_a_row_for_each_value_of_each_run(comparison, tmp_path):
    comparison.write_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as opened:
        head, *rows = csv.reader(opened)
    assert head == COLUMNS
    assert [row[0] for row in rows] == ["dense", "dense", "sparse", "sparse", "broken"]
    assert rows[0][1:] == ["", "accuracy", "1", "0.9", "0.0", "3", *[""] * 8]
    better = dict(zip(head, rows[2], strict=True))
    assert (better["steps.1.fraction"], better["value"], better["mean"]) == ("0.94", "accuracy", str(461 / 500))
    assert (better["verdict"], better["against"], better["pairs"]) == ("better", "dense", "3")
    assert float(better["difference"]) == pytest.approx(11 / 500)
    assert float(better["p"]) == pytest.approx(1 - (363 / 365) ** 0.5)
    assert float(better["low"]) == pytest.approx((11 - 4.30265 / 3**0.5) / 500, abs=1e-6)
    assert rows[3][2:5] == ["parameters_nonzero", "parameters", "60.0"]
    assert rows[4] == ["broken", *[""] * 13, "the loss is nan, at once"]


def test_settings_that_are_lists_are_json(entry):
    first, second = (entry(name, (450,), settings={"select": [name]}) for name in ("stem", "head"))
    assert [row["select"] for row in rows_of(compare([first, second]))] == ['["stem"]', '["head"]']


def test_a_frame_is_the_csv_file(comparison, tmp_path):
    pandas = pytest.importorskip("pandas")
    comparison.write_csv(tmp_path / "table.csv")
    found = comparison.to_frame()
    assert list(found.columns) == COLUMNS
    read = pandas.read_csv(tmp_path / "table.csv")
    pandas.testing.assert_frame_equal(found, read, check_dtype=False)
    wide = found.pivot_table(index="run", columns="value", values="mean")
    assert wide.loc["sparse", "parameters_nonzero"] == 60


def test_a_frame_of_a_summary_has_a_row_for_each_value_of_each_seed(record):
    pytest.importorskip("pandas")
    records = [record(0, right=490), record(5, right=480, baseline=485)]
    found = summarise(records, ["a", "b"], pipeline={}, met=lambda *_: True).to_frame()
    assert found.to_dict("records") == [
        {"seed": 0, "value": "accuracy", "unit": "1", "baseline": 0.99, "final": 0.98},
        {"seed": 5, "value": "accuracy", "unit": "1", "baseline": 0.97, "final": 0.96},
    ]


def test_without_pandas_the_error_says_how_to_install_it(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError) as caught:
        comparison.to_frame()
    assert str(caught.value) == "pandas is not installed; run: pip install 'snncompress[pandas]'"
