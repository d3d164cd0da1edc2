import pytest
import yaml

from snncompress.pipeline.document import compose, dump, serialize
from snncompress.pipeline.tree import build


def value_of(text):
    node, flaws = compose(f"x: {text}\n", "t")
    assert flaws == []
    tree = build(node)
    assert tree.flaws == []
    return tree.data["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5E+2", -250.0),
        ("12", 12),
        ("-0", 0),
        ("+7", 7),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_are_what_json_calls_them(text, value):
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    "no on yes off True NULL 3:20 2024-01-01 010 0x1F 1_000 1e . -e1 inf nan = << zoo:a/b".split(),  # noqa: SIM905
)
def test_everything_else_is_text(text):
    assert value_of(text) == text


@pytest.mark.parametrize("text", ['"1"', "'true'", '"null"', "'1e-3'"])
def test_what_stands_in_quotes_is_text(text):
    assert value_of(text) == text[1:-1]


@pytest.mark.parametrize(
    "value", ["1e-3", "1", "true", "null", "~", "", "no", "a: b", "- a", "#", "é", "1.5", ".5", "<<"]
)
def test_dumped_text_is_read_back_as_the_same_text(value):
    node, flaws = compose(dump({"x": value}), "t")
    assert flaws == []
    assert build(node).data == {"x": value}


@pytest.mark.parametrize("value", [0.001, 1e-12, 1e16, 3, -4, True, None, [1, [2.5]], {"a": {"b": []}}])
def test_dumped_data_is_read_back(value):
    node, _ = compose(dump({"x": value}), "t")
    assert build(node).data == {"x": value}


def test_serializing_keeps_the_spelling_of_numbers_and_the_flow_of_mappings():
    text = "a: {lr: 1e-3, on: no}\nb:\n- '1'\n"
    node, _ = compose(text, "t")
    assert serialize(node) == text


def test_all_structural_flaws_are_found_at_once():
    node, flaws = compose("a: &x 1\nb: *x\nb: 2\nc: !!str 3\n4: d\n", "t")
    tree = build(node)
    told = sorted((flaw.mark.line + 1, flaw.what) for flaw in [*flaws, *tree.flaws] if flaw.what)
    assert told == [
        (1, "anchor '&x' is not supported"),
        (2, "alias '*x' is not supported"),
        (3, "given twice"),
        (4, "tag '!!str' is not supported"),
        (5, "the name of a setting must be text, not '4'"),
    ]


def test_pyyaml_itself_is_left_as_it_was():
    assert yaml.safe_load("x: no") == {"x": False}
