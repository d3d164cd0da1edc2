import pytest

from snncompress import Measurement, Record
from snncompress.record import BudgetRecord, StepRecord
from snncompress_report.text import Text


def measured(**values):
    return {name: Measurement(value=value, unit="1", how="by hand") for name, value in values.items()}


def record(**changes):
    steps = (
        StepRecord(
            index=0, use="train", key="a", reused=True, seconds=61.26, path="cpu", measurements=measured(accuracy=0.5)
        ),
        StepRecord(
            index=1,
            use="prune.l1",
            key="b",
            reused=False,
            seconds=3.0,
            path="cpu",
            measurements=measured(accuracy=0.25, sparsity=0.9),
        ),
    )
    whole = {
        "name": "tiny",
        "pipeline": {},
        "environment": {},
        "steps": steps,
        "baseline": measured(accuracy=0.5, parameters=1234567),
        "final": measured(accuracy=0.25, parameters=1234567, sparsity=0.9, energy=1.25e-6, firing_rate=None),
        "budget": (
            BudgetRecord(metric="accuracy", limit="drop_at_most 0.01", value=0.25, met=False),
            BudgetRecord(metric="sparsity", limit="at_least 0.9", value=0.9, met=True),
        ),
        "artifact": "runs/tiny/final",
    }
    return Record(**{**whole, **changes})


def test_the_whole_report():
    assert Text().render(record()).splitlines() == [
        "tiny: 2 step(s), 64 s of work",
        "",
        "step  use       seconds  reused  accuracy  sparsity  firing_rate",
        "----  --------  -------  ------  --------  --------  -----------",
        "1     train     61.3     yes     0.5000    -         -",
        "2     prune.l1  3.0      no      0.2500    0.9000    -",
        "",
        "value        baseline   final      unit",
        "-----------  ---------  ---------  ----",
        "accuracy     0.5000     0.2500     1",
        "parameters   1,234,567  1,234,567  1",
        "sparsity     -          0.9000     1",
        "energy       -          1.25e-06   1",
        "firing_rate  -          -          1",
        "",
        "budget    limit              value   met",
        "--------  -----------------  ------  ---",
        "accuracy  drop_at_most 0.01  0.2500  NO",
        "sparsity  at_least 0.9       0.9000  yes",
        "",
        "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster.",
        "artifact: runs/tiny/final",
    ]


def test_every_line_starts_its_columns_where_the_head_does():
    lines = Text().render(record()).splitlines()
    head, rows = lines[2], lines[4:6]
    for column in ("use", "seconds", "reused", "accuracy"):
        start = head.index(column)
        assert all(row[start - 1] == " " and row[start] != " " for row in rows)


def test_nothing_measured_and_no_budget_is_a_short_report():
    text = Text().render(record(baseline={}, final={}, budget=()))
    assert "budget" not in text
    assert "step  use       seconds  reused\n" in text


def test_a_saved_record_gives_the_same_report(tmp_path):
    file = tmp_path / "record.json"
    record().write(file)
    assert Text().render(Record.read(tmp_path)) == Text().render(record())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12, "12"),
        (0.0, "0.0000"),
        (0.00099, "0.00099"),
        (0.001, "0.0010"),
        (1234.5, "1234.5000"),
        (-1e-5, "-1e-05"),
    ],
)
def test_numbers_are_readable(value, shown):
    text = Text().render(record(baseline={}, final=measured(thing=value), budget=()))
    assert text.splitlines()[-4].split() == ["thing", "-", shown, "1"]
