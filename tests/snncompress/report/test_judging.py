import pytest

from snncompress import Entry, InputError
from snncompress.report import Comparison, compare
from snncompress.report.summary import summarised


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
    found = compare([entry("a", (401,)), entry("b", (402,), data={"use": "npz"}), entry("c", (403,), seeds=(4,))])
    assert found.notes == (
        "measured on other data than a: b",
        "run with other seeds than a: c",
        "no seed in common with a: c; to repeat a run, or each of a sweep, give seeds: [0, 1, 2] in place of values of seed",
        "too few seeds: a verdict needs 3 or more; give seeds: [0, 1, 2]",
    )


def test_two_seeds_never_give_a_verdict(entry):
    """Two settings that hardly differ once agreed in sign in half of their values, and were called better and worse."""
    found = compare([entry("lr=0.01", (450, 452), (900, 910)), entry("lr=0.010004", (451, 455), (890, 905))])
    assert {one.outcome for one in found.verdicts} == {"too few seeds"}
    assert found.notes == ("too few seeds: a verdict needs 3 or more; give seeds: [0, 1, 2]",)


def test_a_network_at_chance_stands_on_no_front_and_is_named(three, entry):
    """It has the fewest weights of all, and answers as a guess does."""
    found = compare([*three, entry("silent", (50, 51, 50), (1, 1, 1)), entry("half", (480, 50, 480), (2, 2, 2))])
    assert found.front == ("75", "94")
    assert found.at_chance == {"silent": (0, 1, 2), "half": (1,)}
    assert found.notes == (
        "silent is at chance in seeds 0, 1, 2: guessing is as accurate, so none of its values is called better",
        "half is at chance in seed 1: guessing is as accurate, so none of its values is called better",
    )
    assert {one.outcome for one in found.verdicts if one.entry in ("silent", "half")}.isdisjoint({"better", "higher"})


def test_a_comparison_of_an_earlier_version_is_still_read(three):
    """Its verdicts have no interval and no p, its entries do not say whether they have masks."""
    data = compare(three).model_dump(mode="json")
    for found in data["verdicts"]:
        del found["interval"], found["p"]
        found |= {"outcome": "no verdict", "why": "no verdict: one run each"}
    for entry in data["entries"]:
        del entry["masked"], entry["dense"]
        for value in entry["values"].values():
            value.pop("samples", None)
            value.pop("chance", None)
    del data["at_chance"]
    old = Comparison.model_validate(data)
    assert (old.verdict("accuracy", "94").p, old.entry("94").masked, old.at_chance) == (None, None, {})


def test_energy_models_that_rank_two_entries_differently_are_told(entry):
    """45 nm: 1 mJ against 2, half; by the other model 3 against 2, one and a half times."""
    dense = entry("dense", (1, 1), energies={"45nm": (2.0, 2.0), "memory": (2.0, 2.0)})
    sparse = entry("sparse", (1, 1), energies={"45nm": (0.5, 1.5), "memory": (3.0, 3.0), "other": (1.0, 1.0)})
    (found,) = compare([dense, sparse]).energy
    assert (found.ratios, found.agree) == ({"45nm": 0.5, "memory": 1.5}, False)
    (alike,) = compare([sparse.model_copy(update={"energies": {"45nm": dense.energies["45nm"]}}), dense]).energy
    assert (alike.ratios, alike.agree) == ({"45nm": 1.0}, True)
