"""Which modules keep state: those that a backend owns, and those that say so by a reset without arguments."""

import pytest
from torch import nn

from snncompress import Host, StateError
from snncompress.network.owners import find_owners


class Counter(nn.Module):
    def reset(self):
        pass


class Head(nn.Module):
    """A classifier that can be replaced, as timm's are."""

    def reset(self, num_classes, pool_type=None):
        pass


class Optional(nn.Module):
    def reset_state(self, value=0.0, *, deep=True, **rest):
        pass


@pytest.mark.parametrize(
    ("module", "unknown"), [(Counter(), ("0 (Counter)",)), (Head(), ()), (Optional(), ("0 (Optional)",))]
)
def test_a_reset_that_needs_arguments_clears_no_state(module, unknown):
    owners = find_owners(nn.Sequential(module), Host.from_environment())
    assert owners.unknown == unknown
    if unknown:
        with pytest.raises(StateError, match="keeps state that no backend can reset"):
            owners.reset()
    else:
        owners.reset()
