import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from snncompress import Data, Host, Inputs, ModelError, Time
from snncompress.measure import DataBench, encode, loader_of


@pytest.fixture(scope="module")
def host():
    return Host.from_environment()


def encoder(host, name):
    return host.catalogue["encoders"][name]()


class Timed:
    """Something that runs in time, without weights; encoding asks a network for nothing else."""

    def __init__(self, time):
        self.time, self.module = time, torch.nn.Identity()


SEQUENCE = Timed(Time("multi_step", 3))
STILL = Timed(Time("inside", 3, input="static", attribute="T"))


def test_a_still_image_is_repeated_for_a_network_of_sequences(host):
    x_BCHW = torch.rand(2, 1, 4, 4)
    x_TBCHW = encode(encoder(host, "direct"), SEQUENCE, x_BCHW, "static", torch.Generator())
    assert torch.equal(x_TBCHW, torch.stack([x_BCHW] * 3))


def test_a_network_that_repeats_its_image_gets_the_image(host):
    x_BCHW = torch.rand(2, 1, 4, 4)
    assert encode(encoder(host, "direct"), STILL, x_BCHW, "static", torch.Generator()) is x_BCHW
    with pytest.raises(ModelError, match="which the encoder 'poisson' cannot give; use direct"):
        encode(encoder(host, "poisson"), STILL, x_BCHW, "static", torch.Generator())


def test_frames_bring_their_time_first(host):
    x_BTCHW = torch.rand(2, 3, 1, 4, 4)
    x_TBCHW = encode(encoder(host, "direct"), SEQUENCE, x_BTCHW, "frames", torch.Generator())
    assert x_TBCHW.shape == (3, 2, 1, 4, 4)
    assert torch.equal(x_TBCHW[1, 0], x_BTCHW[0, 1])
    with pytest.raises(ModelError, match="the data are event frames"):
        encode(encoder(host, "direct"), STILL, x_BTCHW, "frames", torch.Generator())


def bench_of(host, split, name="direct"):
    return DataBench(Data(split, split, split, Inputs((1, 4, 4), 10)), encoder(host, name), 5, batch_size=2)


def test_draws_are_the_same_at_every_evaluation(host):
    bench = bench_of(host, TensorDataset(torch.rand(3, 1, 4, 4), torch.arange(3)), "poisson")
    x_B = torch.full((2, 1, 4, 4), 0.5)
    first, second = (bench.encode(SEQUENCE, x_B, bench.generator()) for _ in range(2))
    assert torch.equal(first, second)
    assert first.unique().tolist() == [0, 1]


def test_batches_are_in_order_and_none_is_lost(host):
    bench = bench_of(host, TensorDataset(torch.rand(5, 1, 4, 4), torch.arange(5)))
    assert [y_B.tolist() for _, y_B in bench.batches("train")] == [[0, 1], [2, 3], [4]]


class Whole(Dataset):
    """Hands out whole batches, and counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.full((1,), float(index)), index

    def __getitems__(self, indices):
        self.asked.append(list(indices))
        return torch.tensor(indices, dtype=torch.float32)[:, None], torch.tensor(indices)


def test_whole_batches_are_taken_as_they_are():
    split = Whole()
    batches = list(loader_of(split, 3, shuffle=False))
    assert [x_B.tolist() for x_B, _ in batches] == [[[0.0], [1.0], [2.0]], [[3.0]]]
    assert split.asked == [[0, 1, 2], [3]]


def test_a_subset_and_a_plain_data_set_are_collated():
    plain = TensorDataset(torch.arange(6.0)[:, None], torch.arange(6))
    ((x_B, y_B),) = loader_of(Subset(plain, [4, 1]), 2, shuffle=False)
    assert (x_B.tolist(), y_B.tolist()) == ([[4.0], [1.0]], [4, 1])


def test_a_users_own_loader_is_used_as_it_is():
    mine = DataLoader(TensorDataset(torch.arange(6.0)), batch_size=4)
    assert loader_of(mine, 2, shuffle=True) is mine


@pytest.mark.parametrize(("size", "sizes"), [(5, [2, 2]), (4, [2, 2]), (1, [1]), (3, [2])])
def test_training_leaves_out_a_last_batch_of_one(size, sizes):
    split = TensorDataset(torch.arange(float(size)), torch.arange(size))
    assert [len(y_B) for _, y_B in loader_of(split, 2, shuffle=True)] == sizes
