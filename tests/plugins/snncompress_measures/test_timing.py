from itertools import accumulate

import pytest

from snncompress_measures.latency import _measurements
from snncompress_measures.timing import Pairs, processor, timed_pairs


def clock_of(*seconds):
    """Return a clock by which the calls take these times, one after another, with a second between them."""
    ticks = iter(accumulate(step for taken in seconds for step in (1, taken)))
    return lambda: next(ticks)


def recorded(repeats, warm_up, clock, *, alone=False):
    order = []
    pairs = timed_pairs(
        lambda: order.append("a"),
        None if alone else lambda: order.append("b"),
        repeats=repeats,
        warm_up=warm_up,
        clock=clock,
    )
    return pairs, "".join(order)


def test_every_other_pair_begins_with_the_baseline():
    pairs, order = recorded(3, 2, clock_of(2, 4, 8, 6, 5, 10))
    assert order == "abab" + "ab" + "ba" + "ab"
    assert pairs == Pairs((2, 6, 5), (4, 8, 10))
    assert pairs.ratios == (0.5, 0.75, 0.5)
    assert pairs.ratio == 0.5


def test_a_machine_that_slows_down_does_not_change_the_ratio():
    # both take the same work, but each call takes one second longer than the one before
    pairs, _ = recorded(4, 0, clock_of(*range(100, 108)))
    assert pairs.seconds == (100, 103, 104, 107)
    assert pairs.baseline_seconds == (101, 102, 105, 106)
    assert pairs.ratio == pytest.approx(1, abs=1e-4)


def test_without_a_baseline_there_is_no_ratio():
    pairs, order = recorded(3, 1, clock_of(2, 4, 3), alone=True)
    assert (order, pairs.seconds, pairs.ratios, pairs.ratio) == ("aaaa", (2, 4, 3), (), None)


def test_the_figures_are_medians_of_one_sample():
    found = _measurements(Pairs((0.2, 0.4, 0.3), (0.4, 0.4, 0.4)), 100, "a machine")
    assert found["latency_ms"].value == pytest.approx(3)
    assert found["latency_ms"].unit == "ms per sample"
    assert found["latency_ratio"].value == pytest.approx(0.75)
    assert found["latency_ratio"].detail["ratios"] == pytest.approx([0.5, 1.0, 0.75])
    assert found["latency_ratio"].detail["milliseconds"] == pytest.approx([2, 4, 3])
    assert found["latency_ratio"].detail["baseline_milliseconds"] == pytest.approx([4, 4, 4])
    assert found["latency_ms"].how == "median of 3 runs of 100 test samples at once after 3 to warm up; a machine"


def test_a_missing_baseline_is_said():
    found = _measurements(Pairs((0.2,)), 1, "a machine")["latency_ratio"]
    assert found.value is None
    assert found.how.endswith("the uncompressed network is not known, so there is no ratio")


def test_the_processor_has_a_name():
    assert processor().strip()
