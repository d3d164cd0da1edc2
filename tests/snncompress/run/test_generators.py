import random

import numpy as np
import pytest
import torch

from snncompress.run.generators import derived_seed, generator_states, restore_generators, seed_everything


@pytest.fixture(autouse=True)
def _leave_the_generators_as_they_were():
    states = generator_states()
    yield
    restore_generators(states)


def draws():
    """Draw from every global generator, normal numbers too: numpy and random keep every second one."""
    return (
        torch.rand(3).tolist(),
        np.random.rand(3).tolist(),  # noqa: NPY002 - the global generator is what is tested
        np.random.randn(),  # noqa: NPY002
        random.random(),  # noqa: S311 - not for cryptography
        random.gauss(0, 1),
    )


def test_a_seed_decides_every_generator():
    seed_everything(2**63 - 1)
    first = draws()
    assert draws() != first
    seed_everything(2**63 - 1)
    assert draws() == first


def test_numpy_and_random_are_seeded_as_by_hand():
    seed_everything(7)
    assert draws()[3] == random.Random(7).random()  # noqa: S311 - not for cryptography
    seed_everything(7)
    assert draws()[1] == np.random.RandomState(7).rand(3).tolist()
    seed_everything(7)
    assert draws()[0] == torch.rand(3, generator=torch.Generator().manual_seed(7)).tolist()


def test_states_survive_a_file_that_holds_no_code(tmp_path):
    seed_everything(3)
    draws()
    torch.save(generator_states(), tmp_path / "states.pt")
    expected = [draws(), draws()]
    seed_everything(99)
    restore_generators(torch.load(tmp_path / "states.pt", weights_only=True))
    assert [draws(), draws()] == expected


def test_a_derived_seed_depends_on_every_part_and_fits_torch():
    seeds = [
        derived_seed(0, "step", 1),
        derived_seed(1, "step", 1),
        derived_seed(0, "model", 1),
        derived_seed(0, "step", 2),
    ]
    assert len(set(seeds)) == 4
    assert derived_seed(0, "step", 1) == seeds[0]
    assert all(0 <= seed < 2**63 for seed in seeds)
