import pytest

from snncompress.record import BudgetRecord, Summary
from snncompress.report.summary import shared_words, summarise, summarised


def met(limit):
    return lambda index, baseline, final: baseline - final <= limit


def test_the_records_of_three_seeds_become_one_summary(record):
    """Accuracies 490, 492, 497 of 500: mean 493 / 500 = 0.986, standard deviation sqrt(13) / 500."""
    records = [record(seed, right=right) for seed, right in ((0, 490), (1, 492), (5, 497))]
    found = summarise(records, ["seed-0", "seed-1", "seed-5"], pipeline={"seeds": [0, 1, 5]}, met=met(0))
    value = found.final["accuracy"]
    assert (found.seeds, found.runs) == ((0, 1, 5), ("seed-0", "seed-1", "seed-5"))
    assert value.spread.mean == pytest.approx(0.986)
    assert value.spread.std == pytest.approx(13**0.5 / 500)
    assert value.spread.values == (0.98, 0.984, 0.994)
    assert (value.unit, value.better) == ("1", "higher")
    assert value.how == "490, 492, 497 of 500 test samples, mean output over 4 step(s)"


def test_a_summary_keeps_samples_chance_and_masks_of_its_runs(record, accuracy):
    records = [record(seed, masked=masked) for seed, masked in enumerate((False, True, False))]
    found = summarise(records, ["a", "b", "c"], pipeline={}, met=met(0))
    assert (found.final["accuracy"].samples, found.final["accuracy"].chance) == (500, (0.1, 0.1, 0.1))
    assert found.masked is True
    assert summarise(records[::2], ["a", "c"], pipeline={}, met=met(0)).masked is False
    assert summarise([record(0), *records], ["a"] * 4, pipeline={}, met=met(0)).masked is None
    other = accuracy(40).model_copy(update={"samples": 400, "chance": None})
    value = summarised([accuracy(50), None, other])
    assert (value.samples, value.chance) == (None, (0.1, None, None))
    assert summarised([other, other]).chance == ()


def test_budgets_are_judged_on_the_mean_and_name_the_seeds_that_miss_them(record):
    """The mean drop is (5 + 1 + 0) / 3 = 2 of 500, one seed drops more than 4."""

    def judged(drop):
        return (BudgetRecord(metric="accuracy", limit="drop_at_most 0.008", value=(495 - drop) / 500, met=drop <= 4),)

    records = [record(seed, right=495 - drop, budget=judged(drop)) for seed, drop in enumerate((5, 1, 0))]
    runs = ["a", "b", "c"]
    kept = summarise(records, runs, pipeline={}, met=met(0.008))
    assert kept.budget[0].value == pytest.approx(493 / 500)
    assert (kept.budget[0].met, kept.budget[0].missed_by, kept.budgets_met) == (True, (0,), True)
    missed = summarise(records, runs, pipeline={}, met=met(0.003))
    assert (missed.budget[0].met, missed.budgets_met) == (False, False)


def test_a_budget_on_a_value_that_a_seed_lacks_is_missed(record, measured):
    budget = (BudgetRecord(metric="rate", limit="at_most 1", value=None, met=False),)
    values = [{"rate": measured(value)} for value in (0.5, None)]
    records = [record(seed, baseline=1, final=found, budget=budget) for seed, found in enumerate(values)]
    records = [one.model_copy(update={"baseline": one.final}) for one in records]
    found = summarise(records, ["a", "b"], pipeline={}, met=lambda index, baseline, final: True)
    assert found.final["rate"].spread.values == (0.5, None)
    assert not found.budgets_met


def test_a_summary_is_read_as_it_was_written(record, tmp_path):
    found = summarise([record(0), record(1)], ["seed-0", "seed-1"], pipeline={"seeds": [0, 1]}, met=met(0))
    found.write(tmp_path / "record.json")
    assert Summary.read(tmp_path) == found


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        (["as it is", "as it is"], "as it is"),
        (["1 of 500", "2 of 500", "1 of 500"], "1, 2, 1 of 500"),
        (["1,000 spikes", "990 spikes"], "1,000, 990 spikes"),
        (["on cpu", "on cuda"], "on cpu; on cuda"),
        (["one", "two words"], "one; two words"),
    ],
)
def test_words_that_differ_in_numbers_alone_are_one_text(texts, shared):
    assert shared_words(texts) == shared


def test_what_only_some_runs_measured_keeps_its_place(measured):
    assert summarised([None, measured(2.0)]).spread.values == (None, 2.0)
