import torch

from snncompress import Facts, Inputs, Training
from snncompress.run.session import StepRun


class WatchingRun(StepRun):
    def train(self, network, training, **settings):
        self.begun = (network, training)
        return super().train(network, training, **settings)


def test_the_masks_stay_and_every_weight_is_fresh(trained, train_step, make, new_run):
    mask = torch.rand(24, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    ticket = trained.with_masks({"fc1.weight": mask})
    run = new_run(ticket, earlier=(train_step,), kind=WatchingRun)
    torch.manual_seed(3)
    control = make("prune.reinitialize", epochs=1).apply(ticket, run)
    start, training = run.begun
    assert training == train_step.training().model_copy(update={"epochs": 1})
    assert torch.equal(control.masks["fc1.weight"], mask)
    assert not start.tensors["fc1.weight"][~mask].any()
    for earlier in (trained.tensors, *trained.snapshots.values()):
        assert not (start.tensors["fc1.weight"] == earlier["fc1.weight"])[mask].any()
        assert not (start.tensors["fc2.bias"] == earlier["fc2.bias"]).any()
    assert torch.equal(start.tensors["norm.weight"], torch.ones(24))
    assert not start.tensors["norm.running_mean"].any()
    assert not control.tensors["fc1.weight"][~mask].any()
    assert not torch.equal(control.tensors["fc1.weight"], start.tensors["fc1.weight"])


def test_the_draw_depends_on_the_seed_alone(trained, train_step, make, new_run):
    def first_weights(seed):
        run = new_run(trained, earlier=(train_step,), kind=WatchingRun)
        torch.manual_seed(seed)
        make("prune.reinitialize", epochs=1).apply(trained, run)
        return run.begun[0].tensors["fc1.weight"]

    assert torch.equal(first_weights(5), first_weights(5))
    assert not torch.equal(first_weights(5), first_weights(6))


def test_missing_masks_and_epochs_and_a_wrong_loss_are_found(trained, train_step, make):
    def problems(step, *state, earlier=()):
        facts = Facts(trained.inventory, trained.time, Inputs((1, 8, 8), 10), frozenset(state), earlier)
        return [(problem.where, problem.what) for problem in step.check(facts)]

    assert problems(make("prune.reinitialize"), "masks", earlier=(train_step,)) == []
    assert problems(make("prune.reinitialize")) == [
        (("use",), "needs masks, which no earlier step provides"),
        (("epochs",), "there is no earlier training to take the number of epochs from"),
    ]
    wrong = make("prune.reinitialize", retrain=Training(epochs=1, loss="membrane_cross_entropy"))
    assert problems(wrong, "masks") == [(("retrain", "loss"), "this network records no membranes")]
