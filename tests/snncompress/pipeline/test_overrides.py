from pathlib import Path

import pytest

from snncompress.pipeline import load_pipeline

TEXT = """\
# words
version: 1
name: digits
model: net
data: {use: digits}
steps:
  - {use: train, epochs: 2, lr: 1e-3}
  - {use: prune.l1, fraction: 0.5}
"""


@pytest.fixture
def loaded(host, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return lambda *overrides: load_pipeline(str(path), host, overrides=overrides)


def test_without_overrides_the_text_stays_as_it_is(loaded):
    assert loaded().text == TEXT


def test_a_value_is_replaced(loaded):
    assert loaded("steps.0.epochs=3").pipeline.canonical()["steps"][0]["epochs"] == 3


def test_a_section_is_replaced_by_a_yaml_value(loaded):
    source = loaded("model={use: net, width: 7}", "steps.1={use: train, epochs: 9}")
    assert source.pipeline.canonical()["model"] == {"use": "net", "width": 7}
    assert [step.use for step in source.pipeline.steps] == ["train", "train"]


def test_a_missing_setting_is_added_and_later_overrides_win(loaded):
    source = loaded("seed=3", "seed=4", "data.size=16")
    assert source.pipeline.seed == 4
    assert source.pipeline.canonical()["data"]["size"] == 16


def test_an_override_may_go_into_what_another_one_put_there(loaded):
    assert loaded("model={use: net}", "model.width=2").pipeline.canonical()["model"]["width"] == 2


def test_the_effective_text_says_the_same_as_the_overridden_file(loaded, host, tmp_path):
    source = loaded("steps.0.lr=2e-3", "name='1'")
    (tmp_path / "again.yaml").write_text(source.text, encoding="utf-8")
    again = load_pipeline(str(tmp_path / "again.yaml"), host)
    assert again.pipeline.canonical() == source.pipeline.canonical()
    assert again.pipeline.name == "1"
    assert "2e-3" in source.text


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("steps.0.epochs=x", "steps.0.epochs: should be a whole number, not 'x'"),
        ("steps.0.epoch=3", "steps.0.epoch: unknown setting; did you mean 'epochs'?"),
        ("sed=1", "sed: unknown setting; did you mean 'seed'?"),
        ("model=nett", "model: unknown model 'nett'; did you mean 'net'?"),
        ("model={use: net, width: 0}", "model.width: should be at least 1, not 0"),
        ("steps=[]", "steps: should hold at least one entry, not 0"),
        ("steps.2.epochs=1", "no entry '2' in 'steps'; it has 2, counted from 0"),
        ("steps.-1.epochs=1", "no entry '-1' in 'steps'; it has 2, counted from 0"),
        ("steps.first=1", "no entry 'first' in 'steps'; it has 2, counted from 0"),
        ("stps.0.epochs=1", "no section 'stps'; did you mean 'steps'?"),
        ("data.siz.x=1", "no section 'siz' in 'data'; known: use"),
        ("model.width=1", "'model' is the value 'net', it holds no settings; set 'model' as a whole"),
        ("seed", "should be PATH=VALUE; for example steps.1.rounds=3"),
        ("=3", "should be PATH=VALUE; for example steps.1.rounds=3"),
        ("seed=", "no value is given; write null if you mean none"),
        ("seed=[1", "invalid YAML: expected ',' or ']', but got '<stream end>' while parsing a flow sequence"),
        ("seed=&a 1", "anchor '&a' is not supported; take it away"),
        ("data={use: digits, size: 1, size: 2}", "data.size: given twice; first on line 1"),
    ],
)
def test_what_is_wrong_with_an_override_blames_it(lines, override, line):
    assert lines(TEXT, override) == [f"--set {override}: {line}"]


def test_problems_of_overrides_come_after_those_of_the_file_in_their_order(lines):
    text = TEXT.replace("name: digits", "name: 3")
    assert lines(text, "seed=x", "stps.0=1", "timesteps=y") == [
        "p.yaml:3:1: name: should be text, not 3; put it in quotes: '3'",
        "--set seed=x: seed: should be a whole number, not 'x'",
        "--set stps.0=1: no section 'stps'; did you mean 'steps'?",
        "--set timesteps=y: timesteps: should be a whole number, not 'y'",
    ]


def test_a_mistake_in_the_file_is_gone_once_it_is_replaced(lines):
    assert lines(TEXT.replace("epochs: 2", "epochs: x"), "steps.0.epochs=2") == []
