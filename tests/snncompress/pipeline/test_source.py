from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snncompress import Host, PipelineError, hookimpl
from snncompress.pipeline import Pipeline, load_pipeline, pipeline_from, pipeline_model, recipes, schema

TEXT = """\
version: 1
name: "digits"
model: file:runs/a
data: {use: digits, size: 16}
steps:
  - {use: train, epochs: 2, lr: 1e-3, snapshots: [1]}
  - use: prune.l1
    fraction: 0.5
measure: [accuracy]
budget: [{metric: accuracy, at_least: 1}]
"""


def problems(data, host):
    with pytest.raises(PipelineError) as caught:
        pipeline_from(data, host)
    return list(caught.value.lines)


def test_plain_data_gives_the_same_pipeline_as_a_file(host, tmp_path):
    (tmp_path / "p.yaml").write_text(TEXT, encoding="utf-8")
    from_file = load_pipeline(str(tmp_path / "p.yaml"), host)
    from_data = pipeline_from(yaml.safe_load(TEXT.replace("1e-3", "0.001")), host)
    assert from_data.pipeline.canonical() == from_file.pipeline.canonical()
    assert from_file.name == str(tmp_path / "p.yaml")


def test_defaults_are_filled_in(host, valid):
    pipeline = pipeline_from(valid, host).pipeline
    assert isinstance(pipeline, Pipeline)
    assert (pipeline.seed, pipeline.timesteps, pipeline.encode.use) == (0, None, "direct")
    assert [reporter.use for reporter in pipeline.report] == ["text"]


def test_tuples_and_lists_serve_alike(host, valid):
    valid["steps"][1] |= {"plain": (4, 5), "sizes": [6], "select": "a"}
    step = pipeline_from(valid, host).pipeline.steps[1]
    assert (step.plain, step.sizes, step.select) == ((4, 5), [6], ("a",))


def test_a_whole_number_serves_as_a_real_one(host, valid):
    valid["steps"][1]["fraction"] = 1
    assert pipeline_from(valid, host).pipeline.steps[1].fraction == 1.0


@pytest.mark.parametrize("model", ["file:runs/a:b", {"use": "file:runs/a:b"}, {"use": "file", "folder": "runs/a:b"}])
def test_the_text_behind_a_scheme_goes_into_the_setting_that_the_class_names(host, valid, model):
    valid["model"] = model
    assert pipeline_from(valid, host).pipeline.canonical()["model"] == {"use": "file", "folder": "runs/a:b", "width": 4}


def test_a_scheme_without_text_lacks_its_setting(host, valid):
    valid["model"] = "file:"
    assert problems(valid, host) == ["pipeline: model.folder: required setting is missing; the folder"]


def test_problems_of_plain_data_have_paths_and_no_lines(host, valid):
    valid["steps"][0]["epoch"] = valid["steps"][0].pop("epochs")
    assert problems(valid, host) == ["pipeline: steps.0.epoch: unknown setting; did you mean 'epochs'?"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(host, valid, value):
    valid["steps"][1]["fraction"] = value
    assert len(problems(valid, host)) == 1


def test_values_that_are_not_plain_are_refused(host, valid):
    valid["seed"] = object
    assert problems(valid, host) == [
        "pipeline: <class 'object'> is no plain value; use text, numbers, true, false, null, lists and mappings"
    ]


def test_a_line_blames_the_nearest_thing_that_exists(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(TEXT, encoding="utf-8")
    source = load_pipeline("p.yaml", host, overrides=["steps.0.epochs=5"])
    assert source.line(("steps", 1, "fraction"), "is odd") == "p.yaml:8:5: steps.1.fraction: is odd"
    assert (
        source.line(("steps", 1, "select", 0), "is odd", "mend it") == "p.yaml:7:5: steps.1.select.0: is odd; mend it"
    )
    assert source.line(("model", "folder"), "is gone") == "p.yaml:3:1: model.folder: is gone"
    assert source.line(("encode",), "is odd") == "p.yaml:1:1: encode: is odd"
    assert source.line(("steps", 0, "epochs"), "is odd") == "--set steps.0.epochs=5: steps.0.epochs: is odd"


def test_recipes_are_the_files_of_the_zoos(host, tmp_path):
    folder = tmp_path / "zoo" / "recipes"
    folder.mkdir(parents=True)
    (folder / "digits.yaml").write_text(TEXT, encoding="utf-8")
    (folder / "notes.txt").write_text("no", encoding="utf-8")
    assert recipes(host) == {"digits": folder / "digits.yaml"}
    assert load_pipeline("recipe:digits", host).pipeline.name == "digits"
    with pytest.raises(PipelineError, match=r"^recipe:digit: no recipe 'digit'; did you mean 'digits'\?$"):
        load_pipeline("recipe:digit", host)


def test_a_second_zoo_does_not_hide_a_recipe(host, tmp_path):
    class Other:
        @hookimpl
        def snncompress_zoos(self):
            return {"other": tmp_path / "other"}

    for zoo in ("zoo", "other"):
        (tmp_path / zoo / "recipes").mkdir(parents=True)
        (tmp_path / zoo / "recipes" / "a.yaml").write_text(TEXT, encoding="utf-8")
    host.register(Other(), name="other")
    assert list(recipes(host)) == ["a", "other/a"]


def test_a_catalogue_with_one_component_or_none_works_too(host, valid):
    small = Host()
    small.catalogue["strategies"]["train"] = host.catalogue["strategies"]["train"]
    assert problems(valid, small) == [
        "pipeline: encode: unknown encoder 'direct'; none is known",
        "pipeline: model.use: unknown model 'net'; none is known",
        "pipeline: data: unknown data set 'digits'; none is known",
        "pipeline: steps.1.use: unknown strategy 'prune.l1'; known: train",
        "pipeline: measure.0: unknown metric 'accuracy'; none is known",
        "pipeline: measure.1: unknown metric 'parameters'; none is known",
    ]
    assert schema(small)["properties"]["model"]["not"] == {}


def test_the_schema_names_the_strategies_of_this_environment(host):
    found = schema(host)
    assert found["additionalProperties"] is False
    assert found["required"] == ["version", "name", "model", "data", "steps"]
    union = found["properties"]["steps"]["items"]["anyOf"][0]
    assert set(union["discriminator"]["mapping"]) == {"prune.l1", "train"}
    assert found["properties"]["steps"]["minItems"] == 1
    fraction = found["$defs"]["Prune"]["properties"]["fraction"]
    assert (fraction["type"], fraction["minimum"], fraction["maximum"]) == ("number", 0, 1)


def test_the_schema_offers_short_forms_only_where_they_would_be_valid(host):
    found = schema(host)["properties"]
    assert found["model"]["anyOf"][1:] == [
        {"type": "string", "enum": ["net"]},
        {"type": "string", "pattern": "^(file):."},
    ]
    assert len(found["steps"]["items"]["anyOf"]) == 1


def test_every_setting_of_a_pipeline_is_described(host):
    assert [name for name, known in pipeline_model(host).model_fields.items() if not known.description] == []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    position=st.integers(0, len(TEXT) - 1),
    removed=st.integers(0, 1),
    inserted=st.sampled_from("\t\n\r :{}[]-,#&*!|>'\"%@`?0.~\\\x00\x85\u2028\ufeffé😀e=<")
    | st.characters(codec="utf-8"),
)
def test_any_edit_of_one_character_is_valid_or_a_pipeline_error(host, tmp_path, position, removed, inserted):
    path = tmp_path / "p.yaml"
    edited = TEXT[:position] + inserted + TEXT[position + removed :]
    path.write_bytes(edited.encode("utf-8"))
    try:
        source = load_pipeline(str(path), host)
    except PipelineError as error:
        lines = error.lines
    else:
        lines = (f"{path}: valid",) if source.text == edited.removeprefix("\ufeff") else ()
    assert lines
    assert all(line.startswith(f"{path}:") and "\n" not in line for line in lines)
