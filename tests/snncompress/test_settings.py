import pytest
from pydantic import TypeAdapter, ValidationError

from snncompress import Count, Counts, Fraction, Names, Number, Settings


class Sample(Settings):
    part: Fraction = 0.5
    number: Number = 0.0
    count: Count = 1
    counts: Counts = ()
    names: Names = ()


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("part", 0, 0.0),
        ("part", 1, 1.0),
        ("number", -3, -3.0),
        ("count", 1, 1),
        ("counts", [3, 1], (3, 1)),
        ("counts", (), ()),
        ("names", "a", ("a",)),
        ("names", ["a", "b"], ("a", "b")),
    ],
)
def test_values_that_are_taken(name, given, held):
    found = getattr(Sample(**{name: given}), name)
    assert found == held
    assert type(found) is type(held)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("part", 1.01),
        ("part", -0.01),
        ("part", True),
        ("part", "0.5"),
        ("part", float("nan")),
        ("number", float("inf")),
        ("number", None),
        ("count", 0),
        ("count", 1.0),
        ("count", True),
        ("counts", [1, 1]),
        ("counts", [1.5]),
        ("counts", 1),
        ("names", ["a", "a"]),
        ("names", [1]),
        ("nmaes", "a"),
    ],
)
def test_values_that_are_refused(name, given):
    with pytest.raises(ValidationError):
        Sample(**{name: given})


def test_what_is_named_twice_is_said():
    with pytest.raises(ValidationError, match="names 'b' twice"):
        Sample(names=["a", "b", "b"])


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Sample().part = 0.1


def test_canonical_is_plain_json_with_defaults():
    assert Sample(counts=[2]).canonical() == {"part": 0.5, "number": 0.0, "count": 1, "counts": [2], "names": []}


def test_bounds_reach_the_json_schema():
    assert TypeAdapter(Fraction).json_schema() == {"type": "number", "minimum": 0, "maximum": 1}
    assert TypeAdapter(Names).json_schema()["anyOf"][0] == {"type": "string"}
