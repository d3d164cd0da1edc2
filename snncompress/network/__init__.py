"""The value passed between steps: networks, edits, masks, proofs, artifacts."""

from snncompress.network.artifact import load, load_network, read_description, restore, save
from snncompress.network.checkpoint import read_checkpoint
from snncompress.network.edits import Cut, Edit, Replace, Size, Slice, Spikes, Timesteps, edit_from_json
from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.network.network import Network
from snncompress.network.offsets import Offsets, moved_beta, moved_tau, moved_threshold, start_of
from snncompress.network.opening import declare, open_architecture, require_declared
from snncompress.network.output import Output
from snncompress.network.owners import Owned, Owners
from snncompress.network.proof import (
    DOES_NOT_COMPUTE,
    Difference,
    Proof,
    float64_fault,
    no_float64,
    prove,
    spike_difference,
    spike_trains,
)
from snncompress.network.source import FromArchitecture, InHand, Source
from snncompress.network.taking_over import TakeOver
from snncompress.network.time import Time
from snncompress.network.trial import few_of, try_out

__all__ = [
    "DOES_NOT_COMPUTE",
    "Cut",
    "Difference",
    "Edit",
    "FromArchitecture",
    "InHand",
    "Network",
    "Offsets",
    "Output",
    "Owned",
    "Owners",
    "Proof",
    "Replace",
    "Size",
    "Slice",
    "Source",
    "Spikes",
    "TakeOver",
    "Time",
    "Timesteps",
    "declare",
    "edit_from_json",
    "evaluating",
    "few_of",
    "float64_fault",
    "leaving_generators",
    "load",
    "load_network",
    "moved_beta",
    "moved_tau",
    "moved_threshold",
    "no_float64",
    "open_architecture",
    "prove",
    "read_checkpoint",
    "read_description",
    "require_declared",
    "restore",
    "save",
    "spike_difference",
    "spike_trains",
    "start_of",
    "try_out",
]
