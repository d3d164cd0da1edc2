import pytest

from snncompress_structured.mending import merged


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((4, 1, 8, 2, 3), (4, 1, 48), [(8, 48)]),  # [T, B, C, H, W] to [T, B, C * H * W]
        ((4, 8, 2, 3), (4, 1, 8, 2, 3), []),  # time out of the batch
        ((4, 2, 8, 2, 3), (8, 8, 2, 3), [(4, 8)]),  # time into the batch
        ((4, 1, 8, 2, 3), (4, 1, 8, 6), [(2, 6)]),  # places to tokens
        ((4, 48, 16), (4, 3, 16, 16), []),  # heads
        ((1, 8, 1, 1), (1, 8), []),
        ((), (1,), []),
        ((6,), (6,), []),
    ],
)
def test_runs_of_axes_that_become_one(before, after, expected):
    assert list(merged(before, after)) == expected
