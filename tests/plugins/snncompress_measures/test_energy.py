import pytest

from snncompress import InputError, PipelineError
from snncompress.pipeline import load_pipeline
from snncompress_measures.energy import Energy

PIPELINE = """\
version: 1
name: digits
model: snntorch.convnet
data: digits
steps: [{use: train, epochs: 1}]
measure:
  - use: energy
    models: MODELS
budget: [{metric: energy, at_most: 1}]
"""


@pytest.fixture
def lines(host, tmp_path, monkeypatch):
    """Return a function that gives the problems of a pipeline with these models."""
    monkeypatch.chdir(tmp_path)

    def read(models, text=PIPELINE):
        (tmp_path / "p.yaml").write_text(text.replace("MODELS", models), encoding="utf-8")
        try:
            load_pipeline("p.yaml", host)
        except PipelineError as error:
            return list(error.lines)
        return []

    return read


@pytest.mark.parametrize(
    ("models", "line"),
    [
        ("[45nm, sdtt]", "p.yaml:8:20: measure.0.models.1: unknown energy model 'sdtt'; did you mean 'sdt'?"),
        (
            "[45nm, {use: 77fj, synop: 1}]",
            "p.yaml:8:32: measure.0.models.1.synop: unknown setting; did you mean 'synop_pj'?",
        ),
        (
            "[{use: 45nm, ac_pj: -1}]",
            "p.yaml:8:26: measure.0.models.0.ac_pj: should be at least 0, not -1",
        ),
        (
            "[{use: 45nm, zero_weights: skip}]",
            "p.yaml:8:26: measure.0.models.0.zero_weights: should be 'skipped' or 'counted', not 'skip'; did you mean 'skipped'?",
        ),
        ("[45nm, 45nm]", "p.yaml:8:20: measure.0.models.1: '45nm' is named twice; first as models.0"),
        ("[]", "p.yaml:8:5: measure.0.models: should hold at least one entry, not 0"),
        ("45nn", "p.yaml:8:5: measure.0.models.0: unknown energy model '45nn'; did you mean '45nm'?"),
    ],
)
def test_a_wrong_model_is_one_located_line(lines, models, line):
    assert lines(models) == [line]


def test_one_model_will_do(lines):
    assert lines("77fj") == []
    assert lines("{use: 77fj, flop_pj: 1}") == []


def test_a_budget_may_name_the_energy_under_any_model(lines):
    text = PIPELINE.replace("metric: energy", "metric: energy_sdt")
    assert lines("[45nm, sdt]", text) == []
    assert lines("[45nm, 77fj]", text) == [
        "p.yaml:9:11: budget.0.metric: 'energy_sdt' is not among the values that 'measure' yields; did you mean 'energy'?"
    ]


def test_the_first_model_has_no_suffix():
    assert Energy(models=["sdt", {"use": "45nm", "ac_pj": 1.0}]).yields() == ("energy", "energy_45nm")
    assert Energy().yields() == ("energy", "energy_spikformer", "energy_spikingformer", "energy_sdt", "energy_77fj")


def test_the_models_are_built_with_their_settings(host):
    first, second = Energy(models=[{"use": "45nm", "zero_weights": "counted"}, "77fj"]).components(host)
    assert (first.use, first.zero_weights, second.synop_pj) == ("45nm", "counted", 0.077)


def test_a_wrong_model_outside_a_pipeline_is_told_too(host):
    with pytest.raises(InputError, match=r"metric 'energy': models\.0\.use: unknown energy model 'x'; known: 45nm, "):
        Energy(models="x").components(host)
