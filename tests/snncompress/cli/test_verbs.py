import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from snncompress.cli import main
from snncompress.cli.program import VERBS, Program
from snncompress.errors import ModelError, PipelineError, StepError

PIPELINE = """\
version: 1
name: digits
model: snntorch.convnet
data: digits
steps: [{use: train, epochs: 2}]
measure: [accuracy]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(PIPELINE, encoding="utf-8")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_help_lists_every_verb(run):
    done = run("--help")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.split("Verbs:\n")[1].splitlines()] == list(VERBS)


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_exists_and_explains_itself(run, verb):
    done = run(verb, "--help")
    assert done.exit_code == 0
    assert f"{verb} [OPTIONS]" in done.stdout


def test_options_are_spelled_alike_in_all_verbs():
    spellings = {}
    for verb in VERBS:
        for parameter in main.get_command(None, verb).params:
            spellings.setdefault(parameter.name, set()).update(parameter.opts)
    assert spellings["overrides"] == {"--set"}
    assert spellings["as_json"] == {"--json"}
    for name in ("store", "output", "device"):
        assert spellings[name] == {f"--{name}"}
    assert spellings["allow_code"] == {"--allow-code"}


def test_an_unknown_verb_offers_a_near_one(run):
    done = run("valdate")
    assert done.exit_code == 2
    assert "no verb 'valdate'; did you mean 'validate'?" in done.stderr


def test_validate_says_that_a_file_is_valid(run):
    done = run("validate", "p.yaml")
    assert (done.exit_code, done.stdout) == (0, "p.yaml: valid, 1 step\n")


def test_validate_prints_the_whole_pipeline_as_json(run):
    done = run("validate", "p.yaml", "--json", "--set", "seed=3")
    found = json.loads(done.stdout)
    assert (found["seed"], found["steps"][0]["epochs"], found["encode"]) == (3, 2, {"use": "direct"})


def test_validate_tells_mistakes_on_stderr_and_exits_with_2(run):
    done = run("validate", "p.yaml", "--json", "--set", "steps.0.epochs=x", "--set", "sed=1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "--set steps.0.epochs=x: steps.0.epochs: should be a whole number, not 'x'",
        "--set sed=1: sed: unknown setting; did you mean 'seed'?",
    ]


def test_schema_prints_a_json_schema(run):
    assert json.loads(run("schema").stdout)["properties"]["steps"]["minItems"] == 1
    assert run("schema", "--json").stdout == run("schema").stdout


def test_strategies_are_listed_and_shown(run):
    assert "train " in run("strategies").stdout
    shown = run("strategies", "train").stdout
    assert shown.startswith("train (plugin train)\n\n")
    assert "Passes over the training data. [whole number >= 1;" in shown
    settings = {entry["name"]: entry for entry in json.loads(run("strategies", "train", "--json").stdout)["settings"]}
    assert (settings["epochs"]["required"], settings["lr"]["required"]) == (True, False)
    assert "use" not in settings


def test_strategies_shows_what_a_mapping_may_hold(run):
    shown = run("strategies", "prune.dsp").stdout
    for text in ("Fractions: Say for each kind", "chain  Of the channels", "Training: Say how", "warmup_epochs  "):
        assert text in shown
    groups = {one["type"]: one for one in json.loads(run("strategies", "prune.dsp", "--json").stdout)["groups"]}
    assert [one["name"] for one in groups["Fractions"]["settings"]] == ["qk", "v", "mlp", "chain"]
    assert {one["name"]: one["required"] for one in groups["Training"]["settings"]}["epochs"]


def test_an_unknown_strategy_offers_a_near_one(run):
    done = run("strategies", "trian")
    assert (done.exit_code, done.stderr) == (2, "unknown strategy 'trian'; did you mean 'train'?\n")


def test_neurons_are_listed(run):
    assert "spikingjelly.slif" in run("neurons").stdout
    known = {one["name"]: one for one in json.loads(run("neurons", "--json").stdout)}
    kinds = ("if", "lif", "plif", "slif", "alif")
    assert set(known) >= {f"{library}.{kind}" for library in ("spikingjelly", "snntorch") for kind in kinds}
    assert known["snntorch.slif"]["learns"] == ["threshold", "leak"]
    assert known["snntorch.lif"] == {
        "name": "snntorch.lif",
        "summary": "leaky integrate and fire (Leaky)",
        "learns": [],
        "per": [],
    }


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_can_hardly_be_meant_is_told_on_stderr(run, verb):
    steps = "steps: [{use: train, epochs: 1, batch_size: 500}, {use: neurons.substitute, to: slif}]"
    text = PIPELINE.replace("steps: [{use: train, epochs: 2}]", steps)
    Path("p.yaml").write_text(text.replace("snntorch.convnet", "{use: snntorch.convnet, channels: [4, 4]}"))
    done = run(verb, "p.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "warning" in line]
    assert line == (
        "warning: p.yaml:5:52: steps.1.use: the new neurons compute what the old ones did until they are trained, "
        "and no step trains behind this one; give `finetune`, or put a step that trains behind it"
    )
    told = json.loads(done.stdout) if verb == "plan" else json.loads(Path("runs/digits/plan.json").read_text())
    assert told["warnings"] == [line.removeprefix("warning: ")]


def test_plugins_tell_what_they_provide(run):
    done = run("plugins")
    assert done.exit_code == 0
    assert "  strategies  train\n" in done.stdout
    provided = {one["name"]: one["provides"] for one in json.loads(run("plugins", "--json").stdout)["plugins"]}
    assert provided["train"] == {"strategies": ["train"]}


def test_recipes_are_listed_printed_and_can_be_named(run):
    known = json.loads(run("recipes", "--json").stdout)
    assert known
    for name, path in known.items():
        text = Path(path).read_text(encoding="utf-8")
        assert run("recipes", name).stdout == text
        assert run("validate", f"recipe:{name}").exit_code == 0
    assert run("recipes", "nothing-like-it").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PipelineError(["p:1:1: a", "p:2:1: b"]), 2),
        (ModelError("no such model"), 2),
        (StepError("it broke"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(error, code):
    @click.command(cls=Program, invoke_without_command=True)
    def group():
        raise error

    done = CliRunner().invoke(group, [])
    assert done.exit_code == code
    assert done.stdout == ""
    expected = str(error) or "interrupted; run the same command again to go on"
    assert done.stderr == f"{expected}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["validate", "p.yaml"], ["schema"], ["strategies"], ["neurons"], ["plugins"], ["recipes"]],
    ids=lambda arguments: arguments[0],
)
def test_light_verbs_import_neither_torch_nor_an_snn_library(run, arguments):
    del run
    program = (
        "import sys\nfrom snncompress.cli import main\n"
        f"try: main({arguments!r}, prog_name='snncompress')\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'timm', 'spikingjelly', 'snntorch', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}'])
def test_a_record_that_cannot_be_read_is_one_line(run, text):
    Path("record.json").write_text(text, encoding="utf-8")
    done = run("report", "record.json")
    assert done.exit_code == 2
    assert done.stderr.startswith("'record.json' is no record that this snncompress reads: ")
    assert done.stderr.count("\n") == 1


RECIPE = "did you mean 'recipe:digits-lottery'?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "digits-lottery"], f"digits-lottery: no such file; {RECIPE}"),
        (["validate", "digits-lotery"], f"digits-lotery: no such file; {RECIPE}"),
        (["plan", "digits-lottery.yaml"], f"digits-lottery.yaml: no such file; {RECIPE}"),
        (["sweep", "digits-lottery", "--over", "seed=1"], f"digits-lottery: no such file; {RECIPE}"),
        (["inspect", "digits-lottery"], f"'digits-lottery' is no network; {RECIPE}"),
        (["measure", "digits-lotery", "--data", "digits"], f"'digits-lotery' is no network; {RECIPE}"),
        (["measure", "runs/nowhere", "--data", "digits"], "'runs/nowhere' does not exist; there is no folder 'runs'"),
        (["inspect", "no/such/final"], "'no/such/final' does not exist; there is no folder 'no/such'"),
        (["inspect", "folder"], "'folder' is no artifact: it holds no network.json, and no finished run"),
        (
            ["inspect", " "],
            "the network should be an artifact folder, the folder of a run, a pipeline file (.yaml) or a",
        ),
        (["inspect", "net:Net"], "'net:Net' is no network; did you mean '{use: python, function: \"net:Net\"}'?"),
        (
            ["measure", "text.txt", "--data", "digits"],
            "'text.txt' is a file, where an artifact folder, the folder of a",
        ),
        (["run", "folder"], "folder: cannot be read: is a directory\n"),
        (["run", "run"], "run: cannot be read: is a directory; did you mean 'run/pipeline.yaml'?"),
        (["validate", "binary"], "binary:1:1: this byte is not UTF-8; save the file as UTF-8"),
        (
            ["validate", "empty"],
            "empty:1:1: there is no pipeline here; see `snncompress recipes` for some to start from",
        ),
        (["validate", "text.txt"], "text.txt:1:1: a pipeline is a mapping of settings, not 'hello'"),
        (["report", "binary"], "'binary' is no record that this snncompress reads: 'utf-8' codec can't decode"),
        (["report", "deep.json"], "'deep.json' is no record that this snncompress reads: maximum recursion depth"),
        (["report", "digits-lottery"], "'digits-lottery' holds no record.json; give the folder of a finished run"),
        (["compare", "a", "b", "--output", "p.yaml"], "--output 'p.yaml' should be the name of a page, FILE.html"),
        (
            ["inspect", "p.yaml", "--input", "1,8,8"],
            "'p.yaml' brings data of its own; --input and --classes size a model",
        ),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_the_wrong_kind_of_argument_is_one_line(run, arguments, said):
    Path("folder").mkdir()
    Path("run").mkdir()
    Path("run/pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    Path("text.txt").write_text("hello", encoding="utf-8")
    Path("empty").touch()
    Path("binary").write_bytes(bytes(range(128, 256)))
    Path("deep.json").write_text("[" * 100_000, encoding="utf-8")
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_inspect_takes_the_shape_from_the_data_of_the_file_and_of_the_run(run, monkeypatch):
    """A network of the user's own says nothing about sizes; on images of another one it cannot run."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    text = PIPELINE.replace("snntorch.convnet", "{use: python, function: 'own_networks:JellyNet'}")
    Path("p.yaml").write_text(text.replace("epochs: 2", "epochs: 1"), encoding="utf-8")
    assert run("run", "p.yaml", "--allow-code").exit_code == 0

    def speed(*arguments):
        done = run("inspect", *arguments, "--allow-code", "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)["speed"]

    known = [speed(name) for name in ("p.yaml", "runs/digits", "runs/digits/final")]
    assert [one["path"] for one in known] == [known[0]["path"]] * 3
    assert known[0]["path"] != "reference"
    assert "failed" in speed("runs/digits", "--input", "3,32,32")["remarks"][0]
