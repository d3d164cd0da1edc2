import pytest
import torch
from own_networks import JellyNet

from snncompress import InputError, Inputs, Time, declare, save
from snncompress.plan.reference import open_reference


@pytest.fixture
def artifact(host, tmp_path):
    torch.manual_seed(0)
    save(declare(JellyNet(), Time("multi_step", 3), host=host), tmp_path / "final")
    return str(tmp_path)


def test_an_artifact_has_no_settings_to_replace(host, artifact):
    inputs = Inputs((1, 8, 8), 10)
    assert open_reference(artifact, host, inputs, allow_code=True, timesteps=3).time.T == 3
    with pytest.raises(InputError, match=r"is an artifact that runs 3 time step\(s\); leave timesteps out"):
        open_reference(artifact, host, inputs, allow_code=True, timesteps=4)
    with pytest.raises(InputError, match=r"is an artifact, which has no settings to replace \('hidden=3'\)"):
        open_reference(artifact, host, inputs, ["hidden=3"], allow_code=True)


def test_a_pipeline_file_sets_its_time_steps_itself(host):
    with pytest.raises(InputError, match="'recipe:digits-lottery' sets its time steps itself"):
        open_reference("recipe:digits-lottery", host, Inputs((1, 16, 16), 10), timesteps=2)
    assert open_reference("recipe:digits-lottery", host, Inputs((1, 16, 16), 10), timesteps=4).time.T == 4
