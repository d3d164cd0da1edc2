import pytest

from snncompress_report.numbers import change, percent, short, shown, spread, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (12, "12"),
        (1234567, "1,234,567"),
        (0.0, "0"),
        (0.00099, "0.00099"),
        (-1e-5, "-1e-05"),
        (0.0625, "0.0625"),
        (0.1, "0.1000"),
        (0.87654321, "0.8765"),
        (12.3456, "12.35"),
        (1234.56, "1,234.6"),
        (60.0, "60"),
        (7456.0, "7,456"),
        (1.0, "1.0000"),
    ],
)
def test_a_number_keeps_the_digits_that_matter(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00 k"),
        (12345, "12.3 k"),
        (999_400, "999 k"),
        (999_900, "1.00 M"),
        (1_234_567, "1.23 M"),
        (25e9, "25.0 G"),
        (3e12, "3.00 T"),
    ],
)
def test_a_count_is_written_with_three_digits(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50.0 %"),
        (0.0994, "9.9 %"),
        (0.00052, "0.052 %"),
        (0.99951, "99.9510 %"),
    ],
)
def test_only_nothing_is_0_and_only_all_is_100_per_cent(part, text):
    assert percent(part) == text


@pytest.mark.parametrize(
    ("before", "after", "unit", "text"),
    [
        (0.9, 0.875, "1", "-0.0250"),
        (0.0, 0.9, "1", "+0.9000"),
        (400, 100, "parameters", "\N{MULTIPLICATION SIGN}0.25"),
        (2.0, 3.0, "mJ", "\N{MULTIPLICATION SIGN}1.5"),
        (3, 3, "bytes", "same"),
        (0, 3, "bytes", "-"),
        (None, 3, "bytes", "-"),
    ],
)
def test_a_change_is_a_difference_of_parts_and_a_factor_of_anything_else(before, after, unit, text):
    assert change(before, after, unit) == text


def test_a_mean_stands_with_its_spread_and_number():
    assert spread(0.625, 0.125, 3) == "0.6250 ± 0.1250 (n=3)"
    assert spread(0.625, None, 1) == "0.6250 ± - (n=1)"
    assert spread(None, None, 0) == "-"


def test_a_large_factor_has_no_exponent():
    assert times(12345.6) == "\N{MULTIPLICATION SIGN}12,346"
