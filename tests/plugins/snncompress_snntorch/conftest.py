import pytest
import snntorch


@pytest.fixture(autouse=True)
def _list_of_instances_of_this_test(monkeypatch):
    """Keep tests apart: one DeltaLeaky in the list makes ``utils.reset`` fail for every Leaky of the process."""
    monkeypatch.setattr(snntorch.SpikingNeuron, "instances", [])
