"""Each mistake in a pipeline file is one line that says where, what and how to mend it."""

from pathlib import Path

import pytest

from snncompress import Host, hookimpl
from snncompress.errors import PipelineError
from snncompress.pipeline import load_pipeline

VALID = """\
version: 1
name: digits
model: {use: net, width: 3}
data: digits
timesteps: 4
steps:
  - {use: train, epochs: 2, lr: 1e-3}
  - use: prune.l1
    fraction: 0.5
measure: [accuracy, parameters]
budget:
  - {metric: accuracy, drop_at_most: 0.01}
report: [text]
"""

MISTAKES = [
    # replace, by, the only line
    ("fraction: 0.5", "fracton: 0.5", "p.yaml:9:5: steps.1.fracton: unknown setting; did you mean 'fraction'?"),
    (
        "    fraction: 0.5\n",
        "",
        "p.yaml:8:5: steps.1.fraction: required setting is missing; part of the weights to remove",
    ),
    (
        "    fraction: 0.5\n",
        "    fraction: 0.5\n    parts: {mpl: 0.5}\n",
        "p.yaml:10:13: steps.1.parts.mpl: unknown setting; did you mean 'mlp'?",
    ),
    (
        "    fraction: 0.5\n",
        "    fraction: 0.5\n    parts: {mlp: half}\n",
        "p.yaml:10:13: steps.1.parts.mlp: should be a number, not 'half'",
    ),
    (
        "    fraction: 0.5\n",
        "    fraction: 0.5\n    parts: [0.5]\n",
        "p.yaml:10:5: steps.1.parts: should be a number or a mapping of settings, not a list",
    ),
    ("fraction: 0.5", "fraction: 1.5", "p.yaml:9:5: steps.1.fraction: should be at most 1, not 1.5"),
    (
        "fraction: 0.5",
        'fraction: "0.5"',
        "p.yaml:9:5: steps.1.fraction: should be a number, not '0.5'; take the quotes away",
    ),
    ("fraction: 0.5", "fraction: true", "p.yaml:9:5: steps.1.fraction: should be a number, not true"),
    ("fraction: 0.5", "fraction: .nan", "p.yaml:9:15: steps.1.fraction: should be a finite number, not .nan"),
    ("fraction: 0.5", "fraction: 1e999", "p.yaml:9:15: steps.1.fraction: should be a finite number, not 1e999"),
    ("epochs: 2", "epochs: 2.5", "p.yaml:7:18: steps.0.epochs: should be a whole number, not 2.5"),
    ("epochs: 2", "epochs: 0", "p.yaml:7:18: steps.0.epochs: should be at least 1, not 0"),
    ("lr: 1e-3", "lr: 0", "p.yaml:7:29: steps.0.lr: should be more than 0, not 0"),
    (
        "lr: 1e-3",
        "schedule: cosin",
        "p.yaml:7:29: steps.0.schedule: should be 'cosine' or 'step', not 'cosin'; did you mean 'cosine'?",
    ),
    (
        "use: prune.l1",
        "use: prune.l2",
        "p.yaml:8:5: steps.1.use: unknown strategy 'prune.l2'; did you mean 'prune.l1'?",
    ),
    ("use: prune.l1", "ues: prune.l1", "p.yaml:8:5: steps.1.ues: unknown setting; did you mean 'use'?"),
    (
        "  - use: prune.l1\n",
        "  - select: a\n",
        "p.yaml:8:5: steps.1.use: required setting is missing; it names the strategy; known: prune.l1, train",
    ),
    ("use: prune.l1", "use: 3", "p.yaml:8:5: steps.1.use: should name the strategy, not 3; known: prune.l1, train"),
    (
        "fraction: 0.5",
        "fraction: 0.5\n    quiet: no",
        "p.yaml:10:5: steps.1.quiet: should be true or false, not 'no'; write false",
    ),
    ("fraction: 0.5", "fraction: 0.5\n    plain: 3", "p.yaml:10:5: steps.1.plain: should be a list, not 3; write [3]"),
    (
        "fraction: 0.5",
        "fraction: 0.5\n    sizes: [1, a]",
        "p.yaml:10:16: steps.1.sizes.1: should be a whole number, not 'a'",
    ),
    (
        "fraction: 0.5",
        "fraction: 0.5\n    steps: a",
        "p.yaml:10:5: steps.1.steps: should be a whole number or 'auto', not 'a'",
    ),
    (
        "fraction: 0.5",
        "fraction: 0.5\n    finetune: {epochs: 1, lrr: 2}",
        "p.yaml:10:27: steps.1.finetune.lrr: unknown setting; did you mean 'lr'?",
    ),
    (
        "fraction: 0.5",
        "fraction: 0.5\n    fraction: 0.6",
        "p.yaml:10:5: steps.1.fraction: given twice; first on line 9",
    ),
    ("width: 3", "<<: {width: 3}", "p.yaml:3:19: model: merge key '<<' is not supported; write the settings out"),
    ("width: 3", "width: &a 3", "p.yaml:3:26: anchor '&a' is not supported; take it away"),
    ("width: 3", "width: *a", "p.yaml:3:26: alias '*a' is not supported; write the value out"),
    ("width: 3", "width: !!int 3", "p.yaml:3:26: tag '!!int' is not supported; write the value without it"),
    ("width: 3", "3: width", "p.yaml:3:19: model: the name of a setting must be text, not '3'"),
    ("width: 3", "width: 010", "p.yaml:3:19: model.width: should be a whole number, not '010'; take the quotes away"),
    ("name: digits", "name: 3", "p.yaml:2:1: name: should be text, not 3; put it in quotes: '3'"),
    (
        "name: digits\n",
        "",
        (
            "p.yaml:1:1: name: required setting is missing; name of the run and its folder: letters, digits, "
            "'-', '_' and '.', first a letter or digit"
        ),
    ),
    (
        "name: digits",
        "name: a/b",
        (
            "p.yaml:2:1: name: 'a/b' does not have the form that is wanted; name of the run and its folder: letters, digits, "
            "'-', '_' and '.', first a letter or digit"
        ),
    ),
    ("version: 1", "version: true", "p.yaml:1:1: version: should be 1, not true"),
    ("version: 1", "version: 2", "p.yaml:1:1: version: should be 1, not 2"),
    ("{use: net, width: 3}", "nett", "p.yaml:3:1: model: unknown model 'nett'; did you mean 'net'?"),
    (
        "{use: net, width: 3}",
        "[net]",
        "p.yaml:3:1: model: should name the model or be a mapping with 'use', not a list; known: file, net",
    ),
    (
        "{use: net, width: 3}",
        "{use: file:a, folder: b}",
        "p.yaml:3:22: model.folder: given twice: here as 'b', and behind 'file:' as 'a'; keep one, or write 'use: file'",
    ),
    (
        "[accuracy, parameters]",
        "[acuracy]",
        "p.yaml:10:11: measure.0: unknown metric 'acuracy'; did you mean 'accuracy'?",
    ),
    ("[accuracy, parameters]", "accuracy", "p.yaml:10:1: measure: should be a list, not 'accuracy'; write [accuracy]"),
    (
        "[accuracy, parameters]",
        "[accuracy, {use: accuracy, top: 5}]",
        "p.yaml:10:21: measure.1: measures 'accuracy' twice; first as measure.0",
    ),
    (
        "metric: accuracy",
        "metric: acuracy",
        "p.yaml:12:6: budget.0.metric: 'acuracy' is not among the values that 'measure' yields; did you mean 'accuracy'?",
    ),
    (
        "drop_at_most: 0.01",
        "at_least: 0.5, at_most: 1",
        (
            "p.yaml:12:5: budget.0: should give exactly one of 'drop_at_most', 'at_most_of_baseline', 'at_least', 'at_most', "
            "not 'at_least' and 'at_most'"
        ),
    ),
    ("[text]", "[text, text]", "p.yaml:13:16: report.1: 'text' is named twice; first as report.0"),
    ("report: [text]", "reports: [text]", "p.yaml:13:1: reports: unknown setting; did you mean 'report'?"),
    ("timesteps: 4", "timesteps: 0", "p.yaml:5:1: timesteps: should be at least 1, not 0"),
    ("timesteps: 4", "timesteps: 3:20", "p.yaml:5:1: timesteps: should be a whole number, not '3:20'"),
    (
        "timesteps: 4",
        "timesteps: 1234567890123456789",
        "p.yaml:5:12: timesteps: number is too large: it has 19 digits; at most 18",
    ),
    ("  - use: prune", "\t- use: prune", "p.yaml:8:1: a tab stands where only spaces may; indent with spaces"),
    (
        "data: digits",
        "data: [digits",
        "p.yaml:5:10: invalid YAML: expected ',' or ']', but got ':' while parsing a flow sequence",
    ),
    (
        "data: digits",
        'data: "\\ud800"',
        "p.yaml:4:7: data: text holds half of a surrogate pair; write the character itself",
    ),
    ("data: digits", 'data: "\\UFFFFFFFF"', "p.yaml:4:10: the escape in this text names no character"),
    ("data: digits", "data: dig\x07its", "p.yaml:4:10: character U+0007 is not allowed"),
    (
        "report: [text]",
        "---\na: 1",
        "p.yaml:13:1: a second document starts here; put each pipeline into a file of its own",
    ),
]


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[new.strip() or f"no {old}" for old, new, _ in MISTAKES])
def test_one_mistake_is_one_line(lines, old, new, line):
    assert VALID.count(old) == 1
    assert lines(VALID.replace(old, new)) == [line]


def test_the_file_without_mistakes_is_valid(lines):
    assert lines(VALID) == []


def test_many_mistakes_are_told_at_once_in_file_order(lines):
    text = """\
version: 2
name: digits
model: nett
data: {use: digits, sise: 3}
seed: -1
steps:
  - {use: train, epoch: 3, schedule: cosin}
  - {use: prun.l1, fraction: 3}
  - {use: train, epochs: 1, epochs: 2, snapshots: [1, 1]}
measure: [acuracy]
budget: [{metric: nothing, at_most: 1}]
"""
    assert lines(text) == [
        "p.yaml:1:1: version: should be 1, not 2",
        "p.yaml:3:1: model: unknown model 'nett'; did you mean 'net'?",
        "p.yaml:4:21: data.sise: unknown setting; did you mean 'size'?",
        "p.yaml:5:1: seed: should be at least 0, not -1",
        "p.yaml:7:18: steps.0.epoch: unknown setting; did you mean 'epochs'?",
        "p.yaml:7:28: steps.0.schedule: should be 'cosine' or 'step', not 'cosin'; did you mean 'cosine'?",
        "p.yaml:8:6: steps.1.use: unknown strategy 'prun.l1'; did you mean 'prune.l1'?",
        "p.yaml:9:29: steps.2.epochs: given twice; first on line 9",
        "p.yaml:9:40: steps.2.snapshots: names 1 twice",
        "p.yaml:10:11: measure.0: unknown metric 'acuracy'; did you mean 'accuracy'?",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "p.yaml:1:1: there is no pipeline here; see `snncompress recipes` for some to start from"),
        ("# only words\n", "p.yaml:1:1: there is no pipeline here; see `snncompress recipes` for some to start from"),
        ("---\n", "p.yaml:1:1: there is no pipeline here; see `snncompress recipes` for some to start from"),
        ("- a\n", "p.yaml:1:1: a pipeline is a mapping of settings, not a list"),
        ("words\n", "p.yaml:1:1: a pipeline is a mapping of settings, not 'words'"),
        ("a: " + "[" * 60 + "]" * 60, "p.yaml:1:44: nested deeper than 40 levels"),
    ],
)
def test_what_is_no_pipeline_at_all(lines, text, line):
    assert lines(text) == [line]


def test_bytes_that_are_not_utf_8_are_located(host: Host, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_bytes(b"version: 1\nname: \xff\n")
    with pytest.raises(PipelineError) as caught:
        load_pipeline(str(path), host)
    assert caught.value.lines == (f"{path}:2:7: this byte is not UTF-8; save the file as UTF-8",)


def test_a_byte_order_mark_is_taken(host: Host, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text(VALID, encoding="utf-8-sig")
    assert load_pipeline(str(path), host).pipeline.name == "digits"


def test_a_missing_file_offers_near_names(host: Host, tmp_path: Path):
    (tmp_path / "digits.yaml").write_text(VALID, encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        load_pipeline(str(tmp_path / "digit.yaml"), host)
    assert str(caught.value) == f"{tmp_path / 'digit.yaml'}: no such file; near: '{tmp_path / 'digits.yaml'}'"


def test_a_folder_is_no_file(host: Host, tmp_path: Path):
    with pytest.raises(PipelineError, match="cannot be read: is a directory"):
        load_pipeline(str(tmp_path), host)


def test_an_unknown_name_mentions_the_plugins_that_failed(host: Host, lines):
    class Broken:
        @hookimpl
        def snncompress_strategies(self):
            raise OSError("no disk")

    host.register(Broken(), name="broken")
    (line,) = lines(VALID.replace("prune.l1", "xyz"))
    assert line == (
        "p.yaml:8:5: steps.1.use: unknown strategy 'xyz'; known: prune.l1, train (or a plugin that failed "
        "to load provides it: 'broken', see `snncompress plugins`)"
    )
