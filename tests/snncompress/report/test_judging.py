import pytest

from snncompress import Entry, InputError
from snncompress.report import Comparison, compare
from snncompress.report.judging import verdict
from snncompress.report.summary import summarised


def test_a_better_entry_is_called_better_in_points_and_images(entry):
    """Right predictions 460, 470, 480 against 450 each: 10, 20, 30 more, mean 20 of 500 = 4 points."""
    found = verdict(entry("b", (460, 470, 480)), entry("a", (450, 450, 450)), "accuracy")
    assert found.outcome == "better"
    assert found.why == "better: all 3 seeds agree, and the mean exceeds its standard error"
    assert found.pairs == 3
    assert found.points == pytest.approx(4.0)
    assert found.images == pytest.approx(20.0)
    assert found.standard_error == pytest.approx(10 / 500 / 3**0.5)


def test_a_difference_smaller_than_the_seeds_differ_is_no_improvement(entry):
    """The mean is higher by (9 - 6 + 3) / 3 = 2 images; the seeds lie further apart than that."""
    found = verdict(entry("b", (459, 464, 483)), entry("a", (450, 470, 480)), "accuracy")
    assert found.difference == pytest.approx(2 / 500)
    assert found.outcome == "no difference seen"


def test_fewer_operations_are_better_and_more_are_worse(entry):
    dense, sparse = entry("dense", (450, 450), (1000, 1000)), entry("sparse", (450, 450), (60, 61))
    assert verdict(sparse, dense, "parameters_nonzero").outcome == "better"
    assert verdict(dense, sparse, "parameters_nonzero").outcome == "worse"


def test_where_no_direction_is_better_it_is_higher_or_lower(entry, measured):
    one, other = entry("a", (1, 1)), entry("b", (1, 1))
    for found, rates in ((one, (0.1, 0.2)), (other, (0.3, 0.4))):
        found.values["firing_rate"] = summarised([measured(rate) for rate in rates])
    assert verdict(other, one, "firing_rate").outcome == "higher"
    assert verdict(one, other, "firing_rate").outcome == "lower"


def test_equal_entries_show_no_difference(entry):
    found = verdict(entry("b", (450, 460)), entry("a", (450, 460)), "accuracy")
    assert (found.outcome, found.why) == ("no difference seen", "no difference seen: equal in all 2 seeds")


def test_one_run_each_is_never_an_improvement(entry):
    found = verdict(entry("b", (499,)), entry("a", (1,)), "accuracy")
    assert (found.outcome, found.why) == ("no verdict", "no verdict: one run each")
    assert found.images == pytest.approx(498)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seeds": (7, 8)}, "no verdict: fewer than two seeds in common"),
        ({"seeds": (1, 8)}, "no verdict: fewer than two seeds in common"),
        ({"data": {"use": "digits", "size": 16}}, "no verdict: measured on other data"),
    ],
)
def test_what_cannot_be_paired_is_not_judged(entry, changes, why):
    found = verdict(entry("b", (460, 470), **changes), entry("a", (450, 450)), "accuracy")
    assert (found.outcome, found.why) == ("no verdict", why)


def test_pairs_are_made_by_seed_not_by_place(entry):
    """Seeds 0 and 1 of the first are the second and the first of the other: 2 and 2 more, not -8 and 12."""
    found = verdict(entry("b", (462, 452), seeds=(1, 0)), entry("a", (450, 460)), "accuracy")
    assert found.images == pytest.approx(2.0)
    assert found.outcome == "better"


def test_only_seeds_that_both_have_are_paired(entry):
    """Seeds 1 and 2 are shared: 10 and 30 more."""
    found = verdict(entry("b", (460, 480, 1), seeds=(1, 2, 9)), entry("a", (1, 450, 450)), "accuracy")
    assert (found.pairs, found.outcome) == (2, "better")
    assert found.images == pytest.approx(20.0)


def test_other_units_are_not_compared(entry, measured):
    one, other = entry("a", (1, 1)), entry("b", (1, 1))
    for found, unit in ((one, "ms"), (other, "s")):
        found.values["latency"] = summarised([measured(value, unit) for value in (1, 2)])
    assert verdict(other, one, "latency").why == "no verdict: in 's' and in 'ms'"


def test_values_that_depend_on_the_moment_they_were_taken_are_not_judged(entry, measured):
    """Milliseconds drift with the machine's load, so that even every seed agreeing tells nothing."""
    one, other = entry("a", (1, 1)), entry("b", (1, 1))
    for found, times in ((one, (3.0, 4.0)), (other, (1.0, 2.0))):
        found.values["ms"] = summarised([measured(time, better="lower", comparable=False) for time in times])
    found = compare([one, other])
    assert found.verdict("ms", "b").why == "no verdict: it depends on the moment it was taken"
    assert found.cost is None


def test_a_value_that_is_no_part_of_test_samples_has_no_images(entry):
    found = verdict(entry("b", (1, 1), (9, 9)), entry("a", (1, 1), (8, 8)), "parameters_nonzero")
    assert (found.difference, found.points, found.images) == (1.0, None, None)


@pytest.fixture
def three(entry):
    """Dense, 75 % and 94 % sparse: 98.0, 98.0 and 92.7 % on average."""
    return [
        entry("dense", (490, 492, 488), (1000, 1000, 1000)),
        entry("75", (491, 490, 489), (250, 250, 250)),
        entry("94", (460, 466, 464), (60, 60, 60)),
    ]


def test_dense_and_two_sparse_runs_show_the_trade_off(three):
    found = compare(three)
    assert (found.baseline, found.shared) == ("dense", ("accuracy", "parameters_nonzero"))
    assert (found.quality, found.cost) == ("accuracy", "parameters_nonzero")
    outcomes = {(one.entry, one.metric): one.outcome for one in found.verdicts}
    assert outcomes == {
        ("75", "accuracy"): "no difference seen",
        ("75", "parameters_nonzero"): "better",
        ("94", "accuracy"): "worse",
        ("94", "parameters_nonzero"): "better",
    }
    assert found.front == ("75", "94"), "the dense run has the same mean as 75 % sparse, at four times the cost"
    assert found.verdict("accuracy", "94").images == pytest.approx(-80 / 3)
    assert found.verdict("accuracy", "dense") is None
    assert found.notes == ()


def test_a_comparison_is_pure_json(three):
    found = compare(three)
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_another_baseline_and_cost_can_be_chosen(three):
    found = compare(three, baseline="94", cost="accuracy")
    assert {one.against for one in found.verdicts} == {"94"}
    assert (found.quality, found.cost, found.front) == (None, "accuracy", ())
    assert compare(three, baseline="runs/75").baseline == "75"


def test_an_unknown_baseline_or_cost_offers_a_near_one(three):
    with pytest.raises(InputError, match="baseline 'dens' is none of the runs that have values; did you mean 'dense'?"):
        compare(three, baseline="dens")
    with pytest.raises(InputError, match="cost 'acuracy' is no value that all runs have; did you mean 'accuracy'?"):
        compare(three, cost="acuracy")


def test_values_that_only_some_have_are_named_with_who_lacks_them(entry):
    found = compare([entry("a", (1,)), entry("b", (1,), (5,))])
    assert found.shared == ("accuracy",)
    assert found.missing == {"parameters_nonzero": ("a",)}
    assert (found.cost, found.front) == (None, ())


def test_the_first_cost_that_differs_is_taken(entry, measured):
    one, other = entry("a", (1,), (5,)), entry("b", (2,), (5,))
    for found, size in ((one, 7), (other, 8)):
        found.values["bytes"] = summarised([measured(size, "bytes", better="lower")])
    assert compare([one, other]).cost == "bytes"


def test_a_failed_entry_is_shown_and_not_judged(three):
    failed = Entry(name="broken", folder="runs/broken", failed="the loss is nan")
    found = compare([failed, *three])
    assert found.baseline == "dense"
    assert [one.name for one in found.finished] == ["dense", "75", "94"]
    assert "broken" not in {one.entry for one in found.verdicts}
    assert found.notes == ("broken failed: the loss is nan",)
    with pytest.raises(InputError, match="none of these runs has values to compare"):
        compare([failed])


def test_other_data_other_seeds_and_single_runs_are_said(entry):
    found = compare([entry("a", (1,)), entry("b", (2,), data={"use": "npz"}), entry("c", (3,), seeds=(4,))])
    assert found.notes == (
        "measured on other data than a: b",
        "run with other seeds than a: c",
        "one run each: no difference between them is a verdict; give seeds: [0, 1, 2]",
    )


def test_energy_models_that_rank_two_entries_differently_are_told(entry):
    """45 nm: 1 mJ against 2, half; by the other model 3 against 2, one and a half times."""
    dense = entry("dense", (1, 1), energies={"45nm": (2.0, 2.0), "memory": (2.0, 2.0)})
    sparse = entry("sparse", (1, 1), energies={"45nm": (0.5, 1.5), "memory": (3.0, 3.0), "other": (1.0, 1.0)})
    (found,) = compare([dense, sparse]).energy
    assert (found.ratios, found.agree) == ({"45nm": 0.5, "memory": 1.5}, False)
    (alike,) = compare([sparse.model_copy(update={"energies": {"45nm": dense.energies["45nm"]}}), dense]).energy
    assert (alike.ratios, alike.agree) == ({"45nm": 1.0}, True)
