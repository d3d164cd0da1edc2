from __future__ import annotations

import pytest
import torch

from snncompress import DataError
from snncompress_data.samples import InMemory, Samples, checked_labels

BYTES = torch.tensor([[[[0, 51]]], [[[102, 255]]], [[[204, 153]]]], dtype=torch.uint8)
LABELS = torch.tensor([2, 0, 1])


def test_bytes_are_scaled_to_0_to_1():
    x_CHW, label = Samples(InMemory(BYTES), LABELS, [0, 1, 2])[0]
    assert torch.equal(x_CHW, torch.tensor([[[0.0, 0.2]]]))
    assert (label, type(label)) == (2, int)


def test_a_batch_equals_its_samples_in_the_order_asked_for():
    split = Samples(InMemory(BYTES), LABELS, [2, 0])
    x_BCHW, labels_B = split.__getitems__([1, 0, 1])
    assert labels_B.tolist() == [2, 1, 2]
    assert labels_B.dtype == torch.int64
    assert torch.equal(x_BCHW, torch.stack([split[1][0], split[0][0], split[1][0]]))


def test_the_normalisation_is_per_channel():
    x_NCHW = torch.tensor([[[[0.5]], [[1.0]]]])
    x_CHW, _ = Samples(InMemory(x_NCHW), LABELS[:1], [0], mean=[0.1, 0.5], std=[0.2, 0.25])[0]
    assert x_CHW.flatten().tolist() == pytest.approx([2.0, 2.0])


def test_booleans_become_zero_and_one():
    x_CHW, _ = Samples(InMemory(torch.tensor([[[[True, False]]]])), LABELS[:1], [0])[0]
    assert x_CHW.tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_changing_a_sample_leaves_the_data_alone(dtype):
    split = Samples(InMemory(BYTES.to(dtype)), LABELS, [0, 1, 2])
    before = split[1][0].clone()
    split[1][0].zero_()
    split.__getitems__([0, 1])[0].zero_()
    assert torch.equal(split[1][0], before)


def test_it_ends_where_its_rows_end():
    split = Samples(InMemory(BYTES), LABELS, [0, 2])
    assert len(split) == 2
    assert [label for _, label in split] == [2, 1]
    with pytest.raises(IndexError):
        split[2]


def test_a_loader_that_takes_batches_as_they_are_gives_whole_batches():
    split = Samples(InMemory(BYTES), LABELS, [0, 1, 2])
    loader = torch.utils.data.DataLoader(split, batch_size=2, collate_fn=lambda batch: batch)
    assert [(tuple(x_B.shape), labels_B.tolist()) for x_B, labels_B in loader] == [
        ((2, 1, 1, 2), [2, 0]),
        ((1, 1, 1, 2), [1]),
    ]


def test_labels_become_int64():
    labels_N = checked_labels(torch.tensor([0, 2], dtype=torch.int32), 3, "here")
    assert (labels_N.dtype, labels_N.tolist()) == (torch.int64, [0, 2])


@pytest.mark.parametrize(
    ("labels", "first"), [([0, 3, 4], "2 of 3 .* the first is 3 in row 1"), ([-1], "1 of 1 .* is -1 in row 0")]
)
def test_labels_outside_the_classes_are_refused(labels, first):
    with pytest.raises(DataError, match=rf"^here: .*0\.\.2.*{first.rsplit(' .* ', maxsplit=1)[1]}") as caught:
        checked_labels(torch.tensor(labels), 3, "here")
    assert first.split(" .* ", maxsplit=1)[0] in str(caught.value)
