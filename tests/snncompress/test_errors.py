import pytest

from snncompress import listed


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
        (list("abcde"), "a, b and 3 more"),
    ],
)
def test_a_list_is_cut_short_and_says_by_how_much(items, told):
    assert listed(items, 2) == told
