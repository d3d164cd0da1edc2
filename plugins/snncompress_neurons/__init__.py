"""Neuron substitution: other neurons in the place of those that a network has."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_neurons.substitute import Substitution


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``neurons.substitute``."""
    return [Substitution]
