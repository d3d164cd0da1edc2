import math

import pytest

from snncompress.report.summary import summarised
from snncompress.report.verdicts import at_chance, verdict


def judged(entry, ours, theirs, **changes):
    return verdict(entry("b", ours, **changes), entry("a", theirs), "accuracy")


def test_a_better_entry_is_called_better_in_points_and_images(entry):
    """10, 11, 12 more of 500: mean 11 = 2.2 points, standard error 1 / sqrt 3 images; p = 1 - sqrt(363 / 365) = 0.0027."""
    found = judged(entry, (460, 461, 462), (450, 450, 450))
    assert (found.outcome, found.why) == ("better", "better: p = 0.00274, 3 pairs")
    assert found.pairs == 3
    assert found.points == pytest.approx(2.2)
    assert found.images == pytest.approx(11.0)
    assert found.standard_error == pytest.approx(1 / 500 / 3**0.5)
    assert found.p == pytest.approx(1 - math.sqrt(363 / 365))
    width = 4.30265 / 3**0.5
    assert found.interval == pytest.approx(((11 - width) / 500, (11 + width) / 500), abs=1e-6)


def test_the_other_way_round_it_is_worse(entry):
    assert judged(entry, (450, 450, 450), (460, 461, 462)).outcome == "worse"


def test_three_seeds_that_agree_in_sign_are_not_enough(entry):
    """10, 20, 30 more: mean 20, standard error 10 / sqrt 3, t = sqrt 12, p = 1 - sqrt(12 / 14) = 0.074."""
    found = judged(entry, (460, 470, 480), (450, 450, 450))
    assert (found.outcome, found.why) == ("no difference seen", "no difference seen: p = 0.0742, 3 pairs")
    assert found.interval[0] < 0 < found.interval[1]


def test_a_difference_smaller_than_the_seeds_differ_is_no_improvement(entry):
    """The mean is higher by (9 - 6 + 3) / 3 = 2 images; the seeds lie further apart than that."""
    found = judged(entry, (459, 464, 483), (450, 470, 480))
    assert found.difference == pytest.approx(2 / 500)
    assert found.outcome == "no difference seen"


def test_equal_entries_show_no_difference(entry):
    found = judged(entry, (450, 460, 470), (450, 460, 470))
    assert (found.outcome, found.why) == ("no difference seen", "no difference seen: equal in all 3 seeds")


def test_fewer_operations_are_better_and_more_are_worse(entry):
    dense = entry("dense", (450, 455, 460), (1000, 1000, 1000))
    sparse = entry("sparse", (450, 455, 460), (60, 61, 62))
    assert verdict(sparse, dense, "parameters_nonzero").outcome == "better"
    assert verdict(dense, sparse, "parameters_nonzero").outcome == "worse"


def test_what_settings_alone_decide_is_certain(entry):
    """The same number of parameters in every seed: there is no deviation to divide by."""
    dense, sparse = entry("dense", (1, 2, 3), (1000,) * 3), entry("sparse", (1, 2, 3), (60,) * 3)
    dense = dense.model_copy(update={"values": {"parameters": dense.values["parameters_nonzero"]}})
    sparse = sparse.model_copy(update={"values": {"parameters": sparse.values["parameters_nonzero"]}})
    found = verdict(sparse, dense, "parameters")
    assert (found.outcome, found.why) == ("better", "better: the same in all 3 seeds")
    assert (found.p, found.interval, found.difference) == (0.0, (-940.0, -940.0), -940.0)


def test_seeds_that_change_nothing_count_as_one(entry):
    """A trained network that is only pruned: every seed repeats the accuracy, and what it says of other images is unknown."""
    found = judged(entry, (460, 460, 460), (450, 450, 450))
    assert found.outcome == "too few seeds"
    assert found.why == "too few seeds: accuracy is the same in every seed of both, so they count as one run"
    assert found.images == pytest.approx(10)
    assert judged(entry, (460, 460, 461), (450, 450, 450)).outcome == "better"


def test_where_no_direction_is_better_it_is_higher_or_lower(entry, measured):
    one, other = entry("a", (1, 1, 1)), entry("b", (1, 1, 1))
    for found, rates in ((one, (0.1, 0.2, 0.3)), (other, (0.31, 0.4, 0.49))):
        found.values["firing_rate"] = summarised([measured(rate) for rate in rates])
    assert verdict(other, one, "firing_rate").outcome == "higher"
    assert verdict(one, other, "firing_rate").outcome == "lower"


@pytest.mark.parametrize(
    ("ours", "theirs", "changes", "why"),
    [
        ((499,), (1,), {}, "one run each, and a verdict needs 3"),
        ((460, 470), (450, 450), {}, "2 in common, and a verdict needs 3"),
        ((460, 460), (450, 450), {}, "2 in common, and a verdict needs 3"),
        ((460, 461, 462), (450, 450, 450), {"seeds": (7, 8, 9)}, "0 in common, and a verdict needs 3"),
        ((460, 461, 462), (450, 450, 450), {"seeds": (1, 2, 9)}, "2 in common, and a verdict needs 3"),
        ((460,), (450, 450, 450), {}, "1 in common, and a verdict needs 3"),
    ],
)
def test_fewer_than_three_pairs_are_too_few_whatever_the_difference(entry, ours, theirs, changes, why):
    found = judged(entry, ours, theirs, **changes)
    assert (found.outcome, found.why) == ("too few seeds", f"too few seeds: {why}")
    assert (found.p, found.interval) == (None, None)


def test_one_run_each_still_shows_its_difference(entry):
    found = judged(entry, (499,), (1,))
    assert found.images == pytest.approx(498)


def test_other_data_are_not_judged(entry):
    found = judged(entry, (460, 461, 462), (450, 450, 450), data={"use": "digits", "size": 16})
    assert (found.outcome, found.why) == ("no verdict", "no verdict: measured on other data")


def test_pairs_are_made_by_seed_not_by_place(entry):
    """Seed by seed 2, 2 and 3 more; place by place -18, 2 and 23."""
    found = judged(entry, (472, 462, 453), (450, 460, 470), seeds=(2, 1, 0))
    assert found.images == pytest.approx(7 / 3)
    assert found.outcome == "better"


def test_only_seeds_that_both_have_are_paired(entry):
    """Seeds 1, 2 and 3 are shared: 10, 11 and 12 more."""
    found = judged(entry, (460, 461, 462, 440), (440, 450, 450, 450), seeds=(1, 2, 3, 9))
    assert (found.pairs, found.outcome) == (3, "better")
    assert found.images == pytest.approx(11.0)


@pytest.mark.parametrize("lost", [None, float("nan"), float("inf")])
def test_a_seed_without_a_number_is_no_pair(entry, measured, lost):
    one, other = entry("a", (450, 460, 470, 480)), entry("b", (450, 460, 470, 480))
    for found, losses in ((one, (1.0, 2.0, 3.0, 4.0)), (other, (2.0, 3.1, 4.2, lost))):
        found.values["loss"] = summarised([measured(loss, better="lower") for loss in losses])
    found = verdict(other, one, "loss")
    assert (found.pairs, found.outcome) == (3, "worse")
    assert found.difference == pytest.approx(1.1)


def test_other_units_are_not_compared(entry, measured):
    one, other = entry("a", (1, 1, 1)), entry("b", (1, 1, 1))
    for found, unit in ((one, "ms"), (other, "s")):
        found.values["latency"] = summarised([measured(value, unit) for value in (1, 2, 3)])
    assert verdict(other, one, "latency").why == "no verdict: in 's' and in 'ms'"


def test_a_value_that_is_no_fraction_of_test_samples_has_no_images(entry):
    found = verdict(entry("b", (1, 1), (9, 9)), entry("a", (1, 1), (8, 8)), "parameters_nonzero")
    assert (found.difference, found.points, found.images) == (1.0, None, None)


# ---- chance: with 10 classes and 500 images, 61 right ones come up in 6 of 100 guesses, 62 in fewer than 5


def test_guessing_is_better_in_nothing(entry):
    """Both have fallen silent; one has five images more in each seed, and fewer weights."""
    silent = entry("silent", (55, 56, 57), (10, 10, 10))
    dense = entry("dense", (50, 50, 50), (1000, 1000, 1000))
    for metric in ("accuracy", "parameters_nonzero"):
        found = verdict(silent, dense, metric)
        assert (found.outcome, found.why) == (
            "no verdict",
            "no verdict: silent is at chance",
        )
        assert found.p < 0.05


def test_a_collapsed_network_is_worse_and_its_small_size_is_no_gain(entry):
    silent = entry("silent", (50, 50, 51), (10, 10, 10))
    alive = entry("alive", (450, 455, 460), (1000, 1000, 1000))
    assert verdict(silent, alive, "accuracy").outcome == "worse"
    assert verdict(silent, alive, "parameters_nonzero").outcome == "no verdict"
    assert verdict(alive, silent, "accuracy").outcome == "better"
    assert verdict(alive, silent, "parameters_nonzero").outcome == "no verdict"


def test_one_seed_at_chance_is_enough(entry):
    """Two of three networks have fallen silent: the seeds differ so much that accuracy sees no difference."""
    half, alive = entry("half", (50, 450, 50), (10, 10, 10)), entry("alive", (450, 455, 460), (1000, 1000, 1000))
    assert at_chance(half) == (0, 2)
    assert verdict(half, alive, "accuracy").outcome == "no difference seen"
    assert verdict(half, alive, "parameters_nonzero").outcome == "no verdict"


def test_a_network_that_costs_more_is_worse_even_at_chance(entry):
    silent, alive = entry("silent", (50, 50, 51), (2000, 2001, 2002)), entry("alive", (450, 455, 460), (10, 10, 10))
    assert verdict(silent, alive, "parameters_nonzero").outcome == "worse"


@pytest.mark.parametrize(("right", "seeds"), [((55, 61, 62), (0, 1)), ((62, 500, 75), ()), ((0, 49, 100), (0, 1))])
def test_chance_is_a_binomial_test_for_each_seed(entry, right, seeds):
    assert at_chance(entry("a", right)) == seeds


def test_where_chance_or_the_number_of_samples_is_not_known_nothing_is_said(entry, measured):
    known = entry("a", (50, 50, 50))
    for lost in ({"chance": ()}, {"samples": None, "how": "by hand"}):
        value = known.values["accuracy"].model_copy(update=lost)
        assert at_chance(known.model_copy(update={"values": {"accuracy": value}})) == ()
    assert at_chance(known.model_copy(update={"values": {}})) == ()


def test_an_accuracy_in_per_cent_is_not_taken_for_a_fraction(entry, measured):
    known = entry("a", (50, 50, 50))
    value = summarised([measured(10.0, samples=500, chance=0.1) for _ in range(3)])
    assert at_chance(known.model_copy(update={"values": {"accuracy": value}})) == ()


def test_the_number_of_samples_is_read_from_words_where_nothing_else_says_it(entry):
    """Records of 0.1.0 have it in no other place."""
    known = entry("a", (50, 50, 50))
    value = known.values["accuracy"].model_copy(update={"samples": None})
    assert at_chance(known.model_copy(update={"values": {"accuracy": value}})) == (0, 1, 2)
