"""Views of sequences, there and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snncompress.speed.layout import Layout, from_rows, rows_of


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
    varying=st.sets(st.integers(0, 3), max_size=4),
    data=st.data(),
)
def test_there_and_back(shape, order, varying, data):
    dims = list(range(len(shape) + 1))
    order.shuffle(dims)
    whole = torch.arange(float(2 * torch.Size(shape).numel())).reshape([[2, *shape][dim] for dim in dims])
    x = whole.permute([dims.index(dim) for dim in range(len(dims))])
    p = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
    p = p[tuple(slice(None) if dim in varying else slice(0, 1) for dim in range(len(shape)))]
    assume(p.numel())
    layout = Layout.of(x, [p])
    flat = layout.flat(x)
    assert torch.equal(layout.unflat(flat), x)
    assert torch.equal(layout.unflat_step(layout.flat_step(x[1])), x[1])
    assert flat.dim() == 1 + layout.num_dims
    if p.numel():
        assert torch.equal(
            layout.unflat(flat * layout.parameter(p)), x * p
        )  # whatever varies, varies so in the flat form


def test_values_are_taken_as_they_lie_where_nothing_varies_by_channel():
    x = torch.rand(4, 2, 3, 5, 6).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2))
    flat = Layout.of(x, [torch.tensor(1.0)]).flat(x)
    assert flat.data_ptr() == x.data_ptr()
    assert flat.shape == (4, 180)


def test_channels_lie_last_where_they_vary():
    x = torch.rand(4, 2, 3, 5, 6).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2))
    layout = Layout.of(x, [torch.rand(3, 1, 1)])
    assert layout.flat(x).data_ptr() == x.data_ptr()
    assert layout.flat(x).shape == (4, 60, 3)
    assert Layout.of(x, [torch.rand(3, 5, 6)]).flat(x).shape == (4, 2, 90)


@pytest.mark.parametrize("places", [(), (7,), (3, 4)])
def test_rows_there_and_back(places):
    y = torch.rand(2, 5, 3, *places)
    rows = rows_of(y)
    assert rows.shape == (2, 5, torch.Size(places).numel(), 3)
    assert torch.equal(from_rows(rows, places), y)
    assert torch.equal(rows[1, 2], y[1, 2].reshape(3, -1).T)
