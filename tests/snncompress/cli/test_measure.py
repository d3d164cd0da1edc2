"""``snncompress measure`` on artifacts, runs and model references."""

import json

import pytest
from click.testing import CliRunner

import snncompress
from snncompress.cli import main


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one training epoch, and its folder."""
    folder = tmp_path_factory.mktemp("runs")
    pipeline = {
        "version": 1, "name": "short", "model": {"use": "snntorch.convnet"}, "data": {"use": "digits", "size": 8}, "timesteps": 2,
        "steps": [{"use": "train", "epochs": 1}, {"use": "prune.l1", "fraction": 0.5}],
        "measure": ["accuracy", "parameters", "sparsity", "synops"],
    }  # fmt: skip
    return snncompress.run(pipeline, output=folder / "run", store=folder / "store", silent=True)


def measured(*arguments):
    done = CliRunner().invoke(main, ["measure", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("place", ["", "final"])
def test_an_artifact_and_a_run_measure_what_the_run_recorded(finished, place):
    metrics = [word for name in ("accuracy", "parameters", "sparsity", "synops") for word in ("--metric", name)]
    found = measured(finished.folder / place, "--data", "{use: digits, size: 8}", *metrics)
    recorded = {name: one.model_dump(mode="json") for name, one in finished.record.final.items()}
    assert found == recorded


def test_what_is_measured_is_said_while_it_is_measured_and_not_on_stdout(finished):
    arguments = ["measure", str(finished.folder), "--data", "digits", "--metric", "accuracy", "--metric", "size"]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.stderr == "  measuring accuracy, size on 500 test samples\n"
    assert sorted(json.loads(done.stdout)) == ["accuracy", "bytes"]
    done = CliRunner().invoke(main, ["measure", str(finished.folder), "--data", "digits", "--metric", "size"])
    assert done.stderr == "  measuring size\n"


def test_most_metrics_are_measured_where_none_is_named(finished):
    found = measured(finished.folder, "--data", "digits")
    assert {"accuracy", "parameters", "sparsity", "bytes", "firing_rate", "synops", "energy"} <= set(found)


def test_a_model_reference_has_the_weights_of_a_pipelines_seed():
    one, same, other = (
        measured("snntorch.convnet", "--data", "digits", "--timesteps", 2, "--seed", seed, "--metric", "synops")
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one["macs"] != other["macs"]


def test_latency_against_the_uncompressed_network(finished):
    metric = "{use: latency, batch_size: 8, repeats: 3}"
    found = measured(finished.folder, "--data", "digits", "--against", finished.folder, "--metric", metric)
    assert len(found["latency_ratio"]["detail"]["ratios"]) == 3


def test_the_values_are_shown_with_units(finished):
    done = CliRunner().invoke(main, ["measure", str(finished.folder), "--data", "digits", "--metric", "parameters"])
    shown = finished.record.final["parameters"].value
    assert f"{shown:,} parameters" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--data", "digits"], "unknown model 'nowhere'"),
        (["snntorch.convnet", "--data", "digit"], "data.use: unknown data set 'digit'; did you mean 'digits'?"),
        (["snntorch.convnet", "--data", "digits", "--metric", "synop"], "measure.0.use: unknown metric 'synop'; did you mean 'synops'?"),
        (["snntorch.convnet", "--data", "digits", "--device", "cuda:9"], "device 'cuda:9' cannot be used here"),
        (["snntorch.convnet"], "Missing option '--data'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_with_2(arguments, message):
    done = CliRunner().invoke(main, ["measure", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
