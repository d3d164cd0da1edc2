import pytest
import torch
from odd_networks import SinglePrecision
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from snncompress import ProofError, Time, declare
from snncompress.network import Cut, Size, Slice, Spikes, spike_difference, spike_trains


class NormedChain(nn.Module):
    """Linear, norm, LIF, linear: cutting a channel must clear the norm's shift too."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 12)
        self.norm = nn.BatchNorm1d(12)
        self.lif = neuron.LIFNode(tau=2.0, step_mode="m")
        self.fc2 = nn.Linear(12, 4)

    def forward(self, x_TBC):
        hidden = self.fc1(x_TBC)
        hidden = self.norm(hidden.flatten(0, 1)).reshape(hidden.shape)
        return self.fc2(self.lif(hidden))


def cut(keep, *, norm=True):
    tensors = [Cut("fc1.weight", 0, keep), Cut("fc1.bias", 0, keep), Cut("fc2.weight", 1, keep)]
    tensors += (
        [Cut(f"norm.{name}", 0, keep) for name in ("weight", "bias", "running_mean", "running_var")] if norm else []
    )
    sizes = (
        Size("fc1", "out_features", len(keep)),
        Size("norm", "num_features", len(keep)),
        Size("fc2", "in_features", len(keep)),
    )
    return Slice(tuple(tensors), sizes, (Spikes("lif", -1, keep),))


@pytest.fixture
def normed(host):
    torch.manual_seed(3)
    network = declare(NormedChain(), Time("multi_step", 4), host=host)
    with torch.no_grad():
        network.module.norm.bias.fill_(1.5)
    return network


@pytest.fixture
def x():
    return torch.randn(4, 64, 6, generator=torch.Generator().manual_seed(0))


def calibrate(network, x):
    network.module.train()
    network.forward(x)
    network.reset()
    network.module.eval()


def test_norms_that_have_seen_no_data_prove_nothing(normed, x):
    with pytest.raises(ProofError, match="norm 'norm' has seen no data"):
        normed.edited([cut((0, 1, 2))], probe=x)


def test_a_shift_that_fires_is_masked_with_its_channel(normed, x):
    calibrate(normed, x)
    _, trains = spike_trains(normed, x)
    assert trains["lif"][..., 5].sum() > 0, "the channel that goes must fire before"
    small = normed.edited([cut((0, 1, 2, 3))], probe=x)
    assert small.proofs[0].float32_flips >= 0
    _, after = spike_trains(small, x)
    assert after["lif"].shape[-1] == 4


def test_a_silent_network_proves_nothing(normed, x):
    calibrate(normed, x)
    quiet = normed.with_weights({"norm.bias": torch.full((12,), -9.0), "norm.weight": torch.zeros(12)})
    with pytest.raises(ProofError, match="no neuron fires"):
        quiet.edited([cut((0, 1))], probe=x)


def two_neurons():
    return nn.Sequential(
        nn.Linear(6, 12), neuron.LIFNode(step_mode="m"), nn.Linear(12, 4), neuron.LIFNode(step_mode="m")
    )


def test_layers_that_stay_silent_are_named(host, x):
    """The first neuron fires, the second is held below its threshold: equal, but nothing shows that it still works."""
    torch.manual_seed(3)
    network = declare(two_neurons(), Time("multi_step", 4), build=two_neurons, host=host)
    held = network.with_weights({"2.weight": torch.zeros(4, 12), "2.bias": torch.full((4,), 0.4)})
    keep = (0, 1, 2, 3, 4, 5)
    slice_ = Slice(
        (Cut("0.weight", 0, keep), Cut("0.bias", 0, keep), Cut("2.weight", 1, keep)),
        (Size("0", "out_features", 6), Size("2", "in_features", 6)),
        (Spikes("1", -1, keep),),
    )
    (proof,) = held.edited([slice_], probe=x).proofs
    assert (proof.num_layers, proof.silent_layers) == (2, ("3",))
    assert str(proof).endswith("; little is shown of layers that stay silent on the batch: '3'")
    louder = held.with_weights({"2.bias": torch.full((4,), 2.5)})
    (proof,) = louder.edited([slice_], probe=x).proofs
    assert proof.silent_layers == ()
    assert str(proof).startswith(f"slice proved: {proof.num_spikes:,} spikes of 2 layers equal in float64, ")


def test_wrongly_declared_spikes_are_found_out(normed, x):
    calibrate(normed, x)
    right = cut((0, 1, 2))
    wrong = Slice(right.cuts, right.sizes, (Spikes("lif", -1, (0, 1, 3)),))
    with pytest.raises(ProofError, match="first differing layer is 'lif'"):
        normed.edited([wrong], probe=x)
    with pytest.raises(ProofError, match="must say how its spikes shrink"):
        normed.edited([Slice(right.cuts, right.sizes)], probe=x)


def test_a_bias_left_behind_is_found_out(host, x):
    """A consumer that keeps more than the slice says computes something else."""
    torch.manual_seed(3)
    network = declare(NormedChain(), Time("multi_step", 4), host=host)
    calibrate(network, x)
    slice_ = cut((0, 1, 2))
    swapped = tuple(Cut("fc2.weight", 1, (2, 1, 0)) if item.tensor == "fc2.weight" else item for item in slice_.cuts)
    with pytest.raises(ProofError, match="logits differ|differing layer"):
        network.edited([Slice(swapped, slice_.sizes, slice_.spikes)], probe=x)


# ---- ANNs


class Still(nn.Module):
    """Linear, ReLU, linear: an ANN."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, 4)

    def forward(self, x_BC):
        return self.fc2(self.fc1(x_BC).relu())


STILL = Time("none", 1, input="static", output="averaged")


def cut_still(keep):
    tensors = (Cut("fc1.weight", 0, keep), Cut("fc1.bias", 0, keep), Cut("fc2.weight", 1, keep))
    return Slice(tensors, (Size("fc1", "out_features", len(keep)), Size("fc2", "in_features", len(keep))))


@pytest.fixture
def still(host):
    torch.manual_seed(3)
    return declare(Still(), STILL, host=host).with_probe(torch.randn(8, 6))


def test_an_ann_is_compared_by_its_outputs(still):
    (proof,) = still.edited([cut_still((0, 3, 7))]).proofs
    assert (proof.num_spikes, proof.num_layers, proof.float32_flips) == (0, 0, 0)
    assert proof.largest_logit_difference <= 1e-14


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_logits_of_an_ann_are_compared_in_parts_of_the_largest(still, scale):
    """A wrong column moves logits of 1e-12 by less than 1e-9, and is found out all the same."""
    scaled = still.with_weights({name: scale * still.tensors[name] for name in ("fc2.weight", "fc2.bias")})
    assert scaled.edited([cut_still((0, 3, 7))]).proofs
    right = cut_still((0, 3, 7))
    with pytest.raises(ProofError, match=r"^logits as large as [\d.e+-]+ differ by [\d.e+-]+ in float64$"):
        scaled.edited([Slice((*right.cuts[:2], Cut("fc2.weight", 1, (0, 3, 6))), right.sizes)])


@pytest.mark.parametrize("zero", ["fc1.weight", "fc2.weight"])
def test_an_ann_that_heeds_no_input_proves_nothing(still, zero):
    blind = still.with_weights({zero: torch.zeros_like(still.tensors[zero])})
    with pytest.raises(ProofError, match="every sample of the probe batch gets the same logits"):
        blind.edited([cut_still((0, 3, 7))])


def test_a_network_in_time_whose_neurons_nobody_knows_is_no_ann(host):
    time = Time("inside", 1, settable=False, input="static", output="averaged")
    network = declare(Still(), time, host=host).with_probe(torch.randn(8, 6))
    with pytest.raises(ProofError, match="no neuron fires"):
        network.edited([cut_still((0, 3, 7))])


def test_spike_trains_equal_the_library_run_by_hand(normed, x):
    calibrate(normed, x)
    _, trains = spike_trains(normed, x)
    with torch.no_grad():
        hidden = normed.module.fc1(x)
        hidden = normed.module.norm(hidden.flatten(0, 1)).reshape(hidden.shape)
        lif = neuron.LIFNode(tau=2.0, step_mode="m")
        by_hand = lif(hidden)
    assert torch.equal(trains["lif"], by_hand)


def test_float64_is_float64_throughout(host):
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(6, 8), neuron.LIFNode(), layer.Linear(8, 3), neuron.IFNode())
    functional.set_step_mode(net, "m")
    network = declare(net, Time("multi_step", 2), build=_same, host=host).in_float64()
    out, trains = spike_trains(network, torch.rand(2, 5, 6, dtype=torch.float64))
    assert out.logits.dtype is torch.float64
    assert all(value.dtype is torch.float64 for value in trains.values())


def test_in_float64_the_probe_still_fits(chain):
    probe = torch.rand(3, 8, 6)
    precise = chain.with_probe(probe).in_float64()
    assert torch.equal(precise.probe, probe.double())
    assert precise.forward(precise.probe).logits.dtype is torch.float64


def _same():
    net = nn.Sequential(layer.Linear(6, 8), neuron.LIFNode(), layer.Linear(8, 3), neuron.IFNode())
    functional.set_step_mode(net, "m")
    return net


def crossed(weight):
    """Return a layer of two inputs whose neurons fire once for each whole unit of potential."""
    module = nn.Sequential(layer.Linear(2, 2, bias=False), neuron.IFNode(v_reset=None))
    functional.set_step_mode(module, "m")
    module[0].weight.data = torch.tensor(weight)
    return module


def test_a_sample_changes_its_class_once_not_at_each_step(host):
    """The first sample fires 2 and 1 times, and 1 and 2 times where the inputs are crossed; the second one never."""
    straight, across = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    before, after = (
        declare(crossed(weight), Time("multi_step", 3), build=crossed, arguments={"weight": weight}, host=host)
        for weight in (straight, across)
    )
    x_TBC = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]])
    found = spike_difference(before, after, x_TBC)
    assert (found.num_outputs, found.flipped, found.predictions_changed) == (12, 6, 1)


def half_of_single_precision(how, host, probe):
    torch.manual_seed(0)
    network = declare(SinglePrecision(how), Time("multi_step", 4), arguments={"how": how}, host=host)
    keep = tuple(range(12))
    cuts = (Cut("fc1.weight", 0, keep), Cut("fc1.bias", 0, keep), Cut("fc2.weight", 1, keep))
    sizes = (Size("fc1", "out_features", 12), Size("fc2", "in_features", 12))
    return network.edited([Slice(cuts, sizes, (Spikes("lif", -1, keep),))], probe=probe)


@pytest.mark.parametrize("how", ["float()", "spikes", "kernel", "numpy", "assert"])
def test_a_network_that_does_not_run_in_float64_proves_nothing_and_is_told_what_to_write(host, how):
    x = torch.rand(4, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ProofError) as caught:
        half_of_single_precision(how, host, x)
    told = str(caught.value)
    assert told.startswith(
        "nothing can be proved: the network does not run in float64, and networks are compared in it ("
    )
    assert "write `x.to(self.fc.weight.dtype)`" in told
    assert "keep constants in a buffer" in told


def test_the_cast_that_is_advised_can_be_proved(host):
    x = torch.rand(4, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    small = half_of_single_precision("advised", host, x)
    assert small.proofs[0].num_spikes > 0


def test_a_batch_that_does_not_fit_is_no_fault_of_float64(host):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        half_of_single_precision("float()", host, torch.rand(4, 16, 1, 9, 9))
