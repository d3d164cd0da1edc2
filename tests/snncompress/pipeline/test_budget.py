import pytest
from pydantic import ValidationError

from snncompress.pipeline import Budget


@pytest.mark.parametrize(
    ("limit", "baseline", "final", "met"),
    [
        ({"drop_at_most": 0.25}, 0.75, 0.5, True),
        ({"drop_at_most": 0.25}, 0.75, 0.25, False),
        ({"drop_at_most": 0.25}, 0.5, 0.75, True),
        ({"at_most_of_baseline": 0.5}, 100, 50, True),
        ({"at_most_of_baseline": 0.5}, 100, 51, False),
        ({"at_least": 3}, 0, 3, True),
        ({"at_least": 3}, 9, 2, False),
        ({"at_most": 3}, 0, 3, True),
        ({"at_most": 3}, 0, 4, False),
        ({"at_most": 0}, 0, 0, True),
        ({"drop_at_most": 0.01}, 0.99, 0.98, True),  # 0.010000000000000009 in binary
        ({"drop_at_most": 0.01}, 0.99, 0.97999, False),
        ({"drop_at_most": 0}, 0.3, 0.1 + 0.2, True),
        ({"at_most_of_baseline": 0.1}, 3, 0.3, True),  # 0.1 * 3 is 0.30000000000000004
        ({"at_most_of_baseline": 0.07}, 100, 7, True),
        ({"at_most_of_baseline": 0.07}, 1_000_000, 70_001, False),
        ({"at_least": 0.9}, 0, 1 - 0.1, True),
        ({"at_least": 0.3}, 0, 0.1 * 3, True),
        ({"at_least": 0.7}, 0, 0.1 * 7 - 1e-16, True),
        ({"at_least": 0.9}, 0, 0.8999, False),
        ({"at_most": 0.3}, 0, 0.1 + 0.2, True),
        ({"at_most": 0}, 1e12, 1, False),
        ({"at_most": 1e-12}, 0, 1.1e-12, False),
        ({"drop_at_most": 0}, 0.1 + 0.2, 0.3, True),
    ],
)
def test_a_limit_is_met_or_not(limit, baseline, final, met):
    budget = Budget(metric="a", **limit)
    assert budget.met(baseline=baseline, final=final) is met
    assert budget.limit == next(iter(limit.items()))


@pytest.mark.parametrize("limits", [{}, {"at_least": 0, "at_most": 1}])
def test_exactly_one_limit_is_needed(limits):
    with pytest.raises(ValidationError, match="should give exactly one of"):
        Budget(metric="a", **limits)
