import re

import pytest

from snncompress import PipelineError
from snncompress.pipeline import choices, read_axes


def names(*over):
    return [choice.name for choice in choices(read_axes(over))]


def test_one_setting_gives_one_combination_for_each_value():
    found = choices(read_axes(["steps.1.fraction=0.5,0.75,1e-1"]))
    assert [one.name for one in found] == ["fraction=0.5", "fraction=0.75", "fraction=0.1"]
    assert [one.settings for one in found] == [{"steps.1.fraction": value} for value in (0.5, 0.75, 0.1)]
    assert [one.overrides[0].text for one in found] == [f"steps.1.fraction={text}" for text in ("0.5", "0.75", "1e-1")]


def test_two_settings_give_the_product_the_last_varying_fastest():
    assert names("steps.1.fraction=0.5,0.9", "steps.0.epochs=1,2") == [
        "fraction=0.5,epochs=1",
        "fraction=0.5,epochs=2",
        "fraction=0.9,epochs=1",
        "fraction=0.9,epochs=2",
    ]


def test_commas_within_brackets_braces_and_quotes_belong_to_the_value():
    (axis,) = read_axes(["a=[1, 2], {use: slif, to: [x, y]} ,'p, q',\"r,s\", plain text"])
    assert axis.values == ([1, 2], {"use": "slif", "to": ["x", "y"]}, "p, q", "r,s", "plain text")
    assert axis.texts == ("[1, 2]", "{use: slif, to: [x, y]}", "'p, q'", '"r,s"', "plain text")


def test_values_are_those_of_yaml():
    (axis,) = read_axes(["a=true,no,null,1,1.0,'1',file:runs/a"])
    assert axis.values == (True, "no", None, 1, 1.0, "1", "file:runs/a")


def test_settings_that_end_alike_are_told_apart():
    assert names("steps.1.fraction=0.5", "steps.2.fraction=0.5") == ["1.fraction=0.5,2.fraction=0.5"]
    assert names("steps.1={use: train}")[0].startswith("steps.1=use-train-")


@pytest.mark.parametrize(
    "value", ["../x", "a/b", "{use: slif}", "[1, 2]", "'a b'", "a:b", "ä", "''", "x" * 200, "...", "'1'", "'null'"]
)
def test_a_name_is_fit_for_any_file_system(value):
    (name,) = names(f"steps.1.to={value}")
    assert re.fullmatch(r"to=[A-Za-z0-9._+-]{0,41}[A-Za-z0-9_-]{6}", name)
    assert "/" not in name
    assert ".." not in name


def test_different_values_have_different_names_whatever_stands_beside_them():
    values = [
        "1",
        "'1'",
        "true",
        "'true'",
        "a/b",
        "a-b",
        "a b",
        "[1]",
        "['1']",
        "{a: 1}",
        "-0.5",
        "0.5",
        "null",
        "'null'",
    ]
    together = names("x=" + ",".join(values))
    assert len(set(together)) == len(values)
    assert together == [names(f"x={value}")[0] for value in values]
    assert "x=-0.5" in together


@pytest.mark.parametrize(
    ("over", "lines"),
    [
        (
            ["steps.1.fraction"],
            ["--over steps.1.fraction: should be PATH=V1,V2; for example steps.1.fraction=0.5,0.75"],
        ),
        (["a="], ["--over a=: no value is given; for example steps.1.fraction=0.5,0.75"]),
        (["a=1,2,1"], ["--over a=1,2,1: 1 is given twice"]),
        (["a=1", "a=2"], ["--over a=2: 'a' is varied twice; give all its values in one --over"]),
        (["s=1,2"], ["--over s=1,2: 's' is also given to --set; keep one of them"]),
        (["a=*b"], ["--over a=*b: alias '*b' is not supported; write the value out"]),
        (
            ["=1", "a=1,1"],
            [
                "--over =1: should be PATH=V1,V2; for example steps.1.fraction=0.5,0.75",
                "--over a=1,1: 1 is given twice",
            ],
        ),
    ],
)
def test_wrong_values_are_told_all_at_once(over, lines):
    with pytest.raises(PipelineError) as caught:
        read_axes(over, ["s=3"])
    assert list(caught.value.lines) == lines


@pytest.mark.parametrize("text", ["a=[1,2", "a=1],[2", "a={b", "a=1,,2", "a='x"])
def test_brackets_that_do_not_match_are_told(text):
    with pytest.raises(PipelineError, match=f"^{re.escape(f'--over {text}: ')}"):
        read_axes([text])
