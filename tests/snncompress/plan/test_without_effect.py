"""A setting that nothing obeys is an error, or a warning where the step is what it would be without it."""

import numpy as np
import pytest

from snncompress import PipelineError, Training

TRAIN = {"use": "train", "epochs": 2, "batch_size": 500}
JELLY = {"use": "python", "function": "own_networks:JellyNet"}
SMOOTHED = "leave it out, or choose from cross_entropy, membrane_cross_entropy, tet"


def lines_of(plan_of, data, **settings):
    with pytest.raises(PipelineError) as caught:
        plan_of(data, **settings)
    return list(caught.value.lines)


@pytest.mark.parametrize("loss", ["spike_count_mse", "own_networks:summed_loss"])
def test_label_smoothing_of_a_loss_without(plan_of, tiny, loss):
    smoothed = {"loss": loss, "label_smoothing": 0.1}
    steps = [{**TRAIN, **smoothed}, {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 1, **smoothed}}]
    assert lines_of(plan_of, tiny({"steps": steps}), allow_code=True) == [
        f"pipeline: steps.0.label_smoothing: loss {loss!r} has no label smoothing; {SMOOTHED}",
        f"pipeline: steps.1.finetune.label_smoothing: loss {loss!r} has no label smoothing; {SMOOTHED}",
    ]
    assert plan_of(tiny({"steps": [{**TRAIN, "loss": loss, "label_smoothing": 0.0}]}), allow_code=True)
    assert plan_of(tiny({"steps": [{**TRAIN, "loss": "cross_entropy", "label_smoothing": 0.1}]}))


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_decays_of_a_schedule_without(plan_of, tiny, schedule):
    plan = plan_of(tiny({"steps": [{**TRAIN, "schedule": schedule, "decay_epochs": 3}]}))
    assert plan.warnings == (
        (
            f"pipeline: steps.0.decay_epochs: schedule {schedule!r} has no decays, so this does nothing; "
            "leave it out, or set `schedule: step`"
        ),
    )
    assert plan_of(tiny({"steps": [{**TRAIN, "schedule": "step", "decay_epochs": 1}]})).warnings == ()


def test_a_warm_up_that_never_ends(plan_of, tiny):
    told = "the training is all warm-up: its schedule has 2 epoch(s), so lr is never reached; warm up for less"
    plan = plan_of(tiny({"steps": [{**TRAIN, "warmup_epochs": 2}]}))
    assert plan.warnings == (f"pipeline: steps.0.warmup_epochs: {told}",)
    assert plan_of(tiny({"steps": [{**TRAIN, "warmup_epochs": 1}, {**TRAIN, "epochs": 1}]})).warnings == ()
    train = {**TRAIN, "epochs": 3, "snapshots": [1]}
    retrain = {
        "use": "prune.lottery",
        "rounds": 1,
        "rewind_to": "epoch-1",
        "retrain": {"epochs": 1, "warmup_epochs": 1},
    }
    assert plan_of(tiny({"steps": [train, retrain]})).warnings == (), "the epoch before the rewinding point counts"


@pytest.mark.parametrize("use", ["prune.lottery", "prune.reinitialize"])
def test_two_numbers_of_epochs(plan_of, tiny, use):
    rest = {"rounds": 1} if use == "prune.lottery" else {}
    steps = [TRAIN, {"use": "prune.l1", "fraction": 0.5}, {"use": use, "epochs": 3, "retrain": {"epochs": 2}, **rest}]
    assert lines_of(plan_of, tiny({"steps": steps})) == [
        "pipeline: steps.2.epochs: 3 epochs are asked for, and `retrain` says 2; give the number in one place"
    ]
    steps[2]["epochs"] = 2
    assert plan_of(tiny({"steps": steps}))


def test_an_output_for_each_step_that_is_not_there(plan_of, tiny):
    model = {**JELLY, "time": {"runner": "multi_step", "T": 2, "output": "averaged"}}
    lines = lines_of(plan_of, tiny({"model": model, "steps": [{**TRAIN, "loss": "tet"}]}), allow_code=True)
    assert lines == [
        (
            "pipeline: steps.0.loss: this network returns the mean over time, and no output for each step; "
            "use cross_entropy"
        )
    ]


def test_time_steps_of_a_network_without(plan_of, tiny):
    model = {"use": "timm.vision_transformer", "embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 4}
    lines = lines_of(plan_of, tiny({"model": model, "steps": [TRAIN], "timesteps": 4}))
    assert lines == ["pipeline: timesteps: this model has no time steps, and 4 are asked for; leave it out"]
    assert plan_of(tiny({"model": model, "steps": [TRAIN], "timesteps": None}))


@pytest.mark.parametrize("encode", ["poisson", "latency"])
def test_an_encoder_of_event_frames(plan_of, tiny, tmp_path, encode):
    frames, labels = np.zeros((12, 2, 1, 8, 8), dtype=np.float32), np.arange(12) % 10
    arrays = {f"{kind}_{split}": value for split in ("train", "test") for kind, value in (("x", frames), ("y", labels))}
    np.savez(tmp_path / "frames.npz", **arrays)
    data = {"use": "numpy", "file": str(tmp_path / "frames.npz"), "num_classes": 10, "validation": 2}
    pipeline = tiny({"model": JELLY, "data": data, "steps": [TRAIN], "encode": encode})
    assert lines_of(plan_of, pipeline, allow_code=True) == [
        f"pipeline: encode: event frames bring their time steps, so {encode!r} would not be applied; leave it out"
    ]
    assert plan_of({**pipeline, "encode": "direct"}, allow_code=True)


def test_samples_of_an_importance_that_looks_at_none(plan_of, tiny):
    cut = {"use": "prune.channels", "fraction": 0.5, "samples": 64}
    plan = plan_of(tiny({"model": "snntorch.convnet", "steps": [TRAIN, cut]}))
    assert plan.warnings == (
        (
            "pipeline: steps.1.samples: importance 'l2' looks at no samples, so this does nothing; "
            "leave it out, or set `importance: firing`"
        ),
    )
    assert (
        plan_of(tiny({"model": "snntorch.convnet", "steps": [TRAIN, {**cut, "importance": "firing"}]})).warnings == ()
    )


def test_what_was_not_given_to_a_training_stays_known_as_such(host):
    step = host.catalogue["strategies"]["train"](epochs=2, lr=0.5)
    assert step.training() == Training(epochs=2, lr=0.5)
    assert step.training().model_fields_set == {"epochs", "lr"}
