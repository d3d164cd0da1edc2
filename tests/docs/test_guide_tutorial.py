"""A new user's whole path by the guide alone: own loop, compress, load in another process, own loop again."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from doc_blocks import DOCS, named
from snntorch import functional as sf
from spikingjelly.activation_based import functional as jelly
from torch.nn import functional

from snncompress import Output, Record, Training
from snncompress.run.losses import loss_of

GUIDE = DOCS / "guides" / "own-network.md"
FILES = ("my_data.py", "tutorial_net.py", "tutorial.py", "tutorial_again.py")


def run_alone(file, folder):
    done = subprocess.run(
        [sys.executable, file],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorials_network_is_as_accurate_in_its_users_loop_to_the_last_image(tmp_path):
    shown = named(GUIDE)
    for name in FILES:
        (tmp_path / name).write_text(shown[name], encoding="utf-8")
    run_alone("tutorial.py", tmp_path)
    again = run_alone("tutorial_again.py", tmp_path)
    record = Record.read(tmp_path / "runs" / "tutorial" / "record.json")
    (right,) = re.findall(r"^(\d+) right in the loop", again)
    assert int(right) == round(record.final["accuracy"].value * 500)
    assert record.final["accuracy"].value > 0.5
    assert record.final["sparsity"].value == pytest.approx(0.8, abs=1e-3)


STEPS = 10
SPIKES_TBC = (torch.rand(STEPS, 7, 5, generator=torch.Generator().manual_seed(0)) < 0.3).float()
MEMBRANES_TBC = torch.randn(STEPS, 7, 5, generator=torch.Generator().manual_seed(1))
LABELS_B = torch.tensor([0, 1, 2, 3, 4, 0, 1])


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("tet", lambda: sf.ce_rate_loss()(SPIKES_TBC, LABELS_B)),
        ("tet", lambda: jelly.temporal_efficient_training_cross_entropy(SPIKES_TBC, LABELS_B)),
        ("cross_entropy", lambda: functional.cross_entropy(SPIKES_TBC.mean(0), LABELS_B)),
        (
            "spike_count_mse",
            lambda: sf.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(SPIKES_TBC, LABELS_B) / STEPS,
        ),
        (
            "membrane_cross_entropy",
            lambda: sum(functional.cross_entropy(step, LABELS_B) for step in MEMBRANES_TBC) / STEPS,
        ),
    ],
    ids=["ce_rate_loss", "temporal_efficient_training", "mean", "mse_count_loss", "membranes"],
)
def test_the_table_of_losses_is_right(name, theirs):
    ours = loss_of(Training(epochs=1, loss=name))(Output(SPIKES_TBC, False, MEMBRANES_TBC), LABELS_B)
    assert float(ours) == pytest.approx(float(theirs()), rel=1e-5)


def test_no_snntorch_loss_is_missing_from_the_table():
    text = GUIDE.read_text(encoding="utf-8")
    losses = [name for name in vars(sf) if name.endswith("_loss") and isinstance(getattr(sf, name), type)]
    assert len(losses) >= 6
    assert [name for name in losses if f"SF.{name}" not in text] == []
