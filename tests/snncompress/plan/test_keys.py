import importlib
import json
import shutil
from hashlib import sha256

import numpy as np
import pytest
from own_networks import JellyNet

from snncompress import Host, Time, declare, save
from snncompress.plan import keys
from snncompress.plan.keys import canonical, content_hash, key_of, metric_key

JELLY = {"use": "python", "function": "own_networks:JellyNet"}


def test_a_key_is_the_hash_of_sorted_json():
    text = '{"a":"2","b":"1"}'
    assert key_of({"b": "1", "a": "2"}) == sha256(text.encode()).hexdigest()
    assert canonical({"b": [1, 0.5], "a": None}) == '{"a":null,"b":[1,0.5]}'


def test_the_same_pipeline_has_the_same_keys(keys_of, tiny):
    keys = keys_of(tiny())
    assert keys == keys_of(tiny())
    assert len(set(keys)) == 3
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"measure": []},
        {"measure": ["accuracy", "parameters"]},
        {"export": ["safetensors"]},
        {"report": []},
        {"measure": ["sparsity"], "budget": [{"metric": "sparsity", "at_least": 0.1}]},
        {"data": "digits"},
        {"data": {"use": "digits", "size": 8}},
        {"encode": "direct"},
        {"steps.0.lr": 2e-3},
        {"steps.0.optimizer": "adamw"},
        {"steps.1": {"fraction": 0.5, "use": "prune.l1"}},
        {"steps.1.scope": "matrix"},
        {"model.depths": 1},
    ],
    ids=str,
)
def test_what_does_not_compute_changes_no_key(keys_of, tiny, changes):
    assert keys_of(tiny(changes)) == keys_of(tiny())


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"timesteps": 3},
        {"encode": {"use": "poisson"}},
        {"encode": {"use": "poisson", "gain": 0.5}},
        {"data": {"use": "digits", "size": 16}},
        {"model.embed_dims": 16},
        {"model.tau": 3.0},
        {"model.depths": 2},
        {"model": "snntorch.convnet"},
    ],
    ids=str,
)
def test_what_the_start_depends_on_changes_every_key(keys_of, tiny, changes):
    before, after = keys_of(tiny()), keys_of(tiny(changes))
    assert not set(before) & set(after)


def test_the_gain_of_an_encoder_matters(keys_of, tiny):
    first, second = (keys_of(tiny({"encode": {"use": "poisson", "gain": gain}})) for gain in (1.0, 0.5))
    assert not set(first) & set(second)


OTHER_SETTINGS = {
    "epochs": 2,
    "batch_size": 250,
    "optimizer": "sgd",
    "lr": 0.5,
    "momentum": 0.5,
    "weight_decay": 0.5,
    "schedule": "constant",
    "warmup_epochs": 0,
    "decay_epochs": 3,
    "label_smoothing": 0.1,
    "clip_gradient": 1.0,
    "precision": "bfloat16",
    "loss": "tet",
    "snapshots": [0],
}


def test_no_setting_of_a_training_is_forgotten_below(host):
    assert set(OTHER_SETTINGS) | {"use"} == set(host.catalogue["strategies"]["train"].model_fields)


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_every_setting_of_a_step_changes_its_key_and_those_behind_it(keys_of, tiny, name):
    base = {"momentum": {"steps.0.optimizer": "sgd"}, "decay_epochs": {"steps.0.schedule": "step"}}.get(name, {})
    before, after = keys_of(tiny(base)), keys_of(tiny({**base, f"steps.0.{name}": OTHER_SETTINGS[name]}))
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert before[2] != after[2]


def test_trainings_of_ten_epochs_keep_the_json_that_they_always_had(host):
    train = host.catalogue["strategies"]["train"]
    assert train(epochs=10).canonical()["warmup_epochs"] == 1.0
    assert '"warmup_epochs":1.0' in canonical(train(epochs=12).canonical())
    assert train(epochs=9).canonical()["warmup_epochs"] is None  # and no number that could be stated
    assert train(epochs=9, warmup_epochs=1).canonical()["warmup_epochs"] == 1.0


def test_a_stated_warm_up_is_part_of_the_key_of_whatever_takes_it_over(keys_of, tiny):
    steps = [{"use": "train", "epochs": 12}, {"use": "prune.lottery", "rounds": 1, "epochs": 2}]
    stated = [{**steps[0], "warmup_epochs": 1}, steps[1]]
    before, after = keys_of(tiny({"steps": steps})), keys_of(tiny({"steps": stated}))
    assert before[:2] == after[:2]  # twelve epochs warm up over one, stated or not
    assert before[2] != after[2]  # two epochs warm up over 0.2, or over one


def test_a_step_with_a_training_of_its_own_takes_no_warm_up_over(keys_of, tiny):
    steps = [{"use": "train", "epochs": 12}, {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 2}}]
    stated = [{**steps[0], "warmup_epochs": 1}, steps[1]]
    assert keys_of(tiny({"steps": steps})) == keys_of(tiny({"steps": stated}))


@pytest.mark.parametrize(
    "changes", [{"fraction": 0.25}, {"scope": "global"}, {"select": "synapse"}, {"finetune": {"epochs": 1}}], ids=str
)
def test_a_late_step_leaves_early_keys_alone(keys_of, tiny, changes):
    before = keys_of(tiny())
    after = keys_of(tiny({f"steps.1.{name}": value for name, value in changes.items()}))
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_the_number_and_order_of_steps_matter(keys_of, tiny):
    longer = tiny()
    longer["steps"].append({"use": "prune.l1", "fraction": 0.5})
    assert keys_of(longer)[:3] == keys_of(tiny())
    assert len(set(keys_of(longer))) == 4  # the same settings at another place are another state


def write_archive(file, value):
    x = np.full((4, 1, 8, 8), value, dtype=np.float32)
    labels = np.arange(4)
    np.savez(
        file,
        **{
            f"{axis}_{split}": x if axis == "x" else labels
            for axis in "xy"
            for split in ("train", "validation", "test")
        },
    )


def test_the_samples_are_part_of_every_key(keys_of, tiny, tmp_path):
    data = {"data": {"use": "numpy", "file": str(tmp_path / "a.npz"), "num_classes": 10}}
    write_archive(tmp_path / "a.npz", 0.5)
    before = keys_of(tiny(data))
    assert keys_of(tiny(data)) == before
    write_archive(tmp_path / "a.npz", 0.25)
    assert not set(keys_of(tiny(data))) & set(before)


def test_the_weights_in_a_checkpoint_are_part_of_every_key(keys_of, tiny, checkpoint):
    data = tiny({"model": {**JELLY, "checkpoint": str(checkpoint)}})
    before = keys_of(data, allow_code=True)
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(bytes(content))
    assert not set(keys_of(data, allow_code=True)) & set(before)


def test_the_source_of_a_users_function_is_part_of_every_key(keys_of, tiny, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "my_network_of_keys.py"
    file.write_text("from own_networks import JellyNet\n", encoding="utf-8")
    data = tiny({"model": {"use": "python", "function": "my_network_of_keys:JellyNet"}})
    before = keys_of(data, allow_code=True)
    file.write_text("from own_networks import JellyNet\n# changed\n", encoding="utf-8")
    assert not set(keys_of(data, allow_code=True)) & set(before)


def test_the_source_of_a_users_loss_is_part_of_the_steps_key(keys_of, tiny, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "my_loss_of_keys.py"
    file.write_text("from own_networks import summed_loss\n", encoding="utf-8")
    data = tiny({"steps.0.loss": "my_loss_of_keys:summed_loss"})
    before = keys_of(data, allow_code=True)
    file.write_text("from own_networks import summed_loss\n# changed\n", encoding="utf-8")
    after = keys_of(data, allow_code=True)
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_the_checkpoint_that_a_lottery_rewinds_to_is_part_of_its_key(keys_of, tiny, tmp_path):
    file = tmp_path / "early.pt"
    file.write_bytes(b"one")
    data = tiny({"steps.1": {"use": "prune.lottery", "rounds": 1, "rewind_to": f"checkpoint:{file}"}})
    before = keys_of(data)
    file.write_bytes(b"two")
    after = keys_of(data)
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_a_measurement_has_a_key_of_state_and_settings(host):
    metrics = host.catalogue["metrics"]
    key = metric_key("a", metrics["sparsity"](), host)
    assert key == metric_key("a", metrics["sparsity"](select=("synapse",)), host)
    others = {
        metric_key("b", metrics["sparsity"](), host),
        metric_key("a", metrics["sparsity"](select=("head",)), host),
        metric_key("a", metrics["parameters"](), host),
    }
    assert len(others | {key}) == 4


def test_content_is_told_by_paths_and_bytes(tmp_path):
    assert content_hash(None) == ""
    file = tmp_path / "a.pt"
    assert content_hash(file) == "missing"
    file.write_bytes(b"one")
    one = content_hash(file)
    assert content_hash(file.rename(tmp_path / "b.pt")) == one  # a file's name is a setting already
    (tmp_path / "b.pt").write_bytes(b"two")
    assert content_hash(tmp_path / "b.pt") != one


def test_files_that_change_places_in_a_folder_change_its_hash(tmp_path):
    for folder, first, second in (("left", "one", "two"), ("right", "two", "one")):
        for name, text in (("x", first), ("y", second)):
            (tmp_path / folder / name).mkdir(parents=True)
            (tmp_path / folder / name / "weights").write_text(text, encoding="utf-8")
    assert content_hash(tmp_path / "left") != content_hash(tmp_path / "right")


def test_names_and_contents_of_files_are_not_run_together(tmp_path):
    for folder, name, text in (("left", "ab", "c"), ("right", "a", "bc")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    assert content_hash(tmp_path / "left") != content_hash(tmp_path / "right")


def test_versions_of_everything_that_computes_are_in_the_key(plan_of, tiny):
    plan = plan_of(tiny())
    root, step = json.loads(plan.root_parts["versions"]), json.loads(plan.steps[1].parts["versions"])
    assert {"snncompress", "torch", "spikingjelly", "snntorch", "snncompress_data", "snncompress_spikingjelly"} <= set(
        root
    )
    assert "snncompress_prune" in step
    assert "none" not in {*root.values(), *step.values()}


def test_the_source_behind_an_artifact_is_part_of_every_key(keys_of, tiny, host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my_network_in_artifact.py"
    file.write_text("from own_networks import JellyNet\n", encoding="utf-8")
    network = declare(JellyNet(), Time("multi_step", 2), build="my_network_in_artifact:JellyNet", host=host)
    save(network, tmp_path / "kept")
    data = tiny({"model": f"file:{tmp_path / 'kept'}", "data": {"use": "digits", "size": 8}})
    before = keys_of(data, allow_code=True)
    file.write_text("from own_networks import JellyNet\n# changed\n", encoding="utf-8")
    assert not set(before) & set(keys_of(data, allow_code=True))


def test_plugins_that_run_networks_are_part_of_every_key(plan_of, tiny):
    known = json.loads(plan_of(tiny({"model": "snntorch.convnet"})).root_parts["versions"])
    assert {"snncompress_snntorch", "snncompress_spikingjelly"} <= set(known)


def test_a_plugin_that_knows_the_parts_of_networks_is_part_of_every_key(plan_of, tiny, host, monkeypatch):
    monkeypatch.setitem(host.catalogue["anatomies"], "torch", "own_networks:Anatomy")
    assert "own_networks" in json.loads(plan_of(tiny()).root_parts["versions"])


@pytest.mark.parametrize("file", ["anatomy.py", "counts.py", "network/cutting.py"])
def test_every_source_that_computes_is_hashed(file, tmp_path, monkeypatch):
    copied = tmp_path / "snncompress"
    shutil.copytree(keys._folder_of("snncompress"), copied)
    monkeypatch.setattr(keys, "_folder_of", lambda _: copied)
    monkeypatch.setattr(keys, "_is_edited", lambda _: True)
    before = keys._core_version.__wrapped__()
    with (copied / file).open("a", encoding="utf-8") as source:
        source.write("# changed")
    assert keys._core_version.__wrapped__() != before


ENERGY_MODEL = """
from typing import ClassVar, Literal

from snncompress import Settings, hookimpl


class Mine(Settings):
    use: Literal["mine"] = "mine"
    source: ClassVar[str] = "here"
    scope: ClassVar[str] = "nothing"

    def energy(self, counts):
        return {"all": PJ * counts.synops}


@hookimpl
def snncompress_energy_models():
    return [Mine]
"""


def test_a_measurement_has_a_key_of_the_components_inside_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for name, pj in (("cheap_model", "1"), ("dear_model", "2"), ("dear_model", "2")):
        (tmp_path / f"{name}.py").write_text(ENERGY_MODEL.replace("PJ", pj), encoding="utf-8")
        host = Host.from_environment()
        host.register(importlib.import_module(name), name="mine")
        keys.add(metric_key("state", host.catalogue["metrics"]["energy"](models=["mine"]), host))
    assert len(keys) == 2
