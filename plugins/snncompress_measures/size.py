"""How large a network is: parameters, sparsity, bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from snncompress import Bench, Measurement, Names, Settings, StepError

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


class Parameters(Settings):
    """Count parameters, and those that are not zero. A masked parameter is still there: only surgery removes it."""

    use: Literal["parameters"] = "parameters"

    def yields(self) -> tuple[str, ...]:
        """Name the two counts."""
        return "parameters", "parameters_nonzero"

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Count over every parameter of the module, shared ones once."""
        del bench
        values = list(network.module.parameters())
        total = sum(value.numel() for value in values)
        nonzero = sum(int((value != 0).sum()) for value in values)
        return {
            "parameters": Measurement(
                value=total, unit="parameters", how="all parameters, masked ones included", better="lower"
            ),
            "parameters_nonzero": Measurement(
                value=nonzero, unit="parameters", how="parameters that are not zero", better="lower"
            ),
        }


class Sparsity(Settings):
    """Measure the part of weights that is zero: over the selected weights, and over all parameters."""

    use: Literal["sparsity"] = "sparsity"
    select: Names = Field(("synapse",), description="Selector of the weights that `sparsity` is taken over.")

    def yields(self) -> tuple[str, ...]:
        """Name the two sparsities."""
        return "sparsity", "sparsity_all"

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Count zeros."""
        del bench
        named = dict(network.module.named_parameters())
        selected: list[Tensor] = [named[name] for name in network.inventory.weights(self.select)]
        selected += [_in_use(network, one.name) for one in network.inventory.derived_weights(self.select)]
        if not selected:
            raise StepError(_no_weights(network, self.select))
        over = ", ".join(self.select)
        return {
            "sparsity": Measurement(
                value=_zero_part(selected),
                unit="1",
                how=f"zeros among the synaptic weights in: {over}",
                better="higher",
            ),
            "sparsity_all": Measurement(
                value=_zero_part(list(named.values())), unit="1", how="zeros among all parameters", better="higher"
            ),
        }


class Size(Settings):
    """Measure bytes on disk: the weights of the artifact, masked tensors packed."""

    use: Literal["size"] = "size"

    def yields(self) -> tuple[str, ...]:
        """Name the size."""
        return ("bytes",)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Write the artifact aside and look at its weights."""
        from snncompress import save

        del bench
        with tempfile.TemporaryDirectory() as folder:
            size = (save(network, Path(folder)) / "weights.safetensors").stat().st_size
        how = "weights.safetensors of the artifact"
        return {"bytes": Measurement(value=size, unit="bytes", how=how, better="lower")}


def _in_use(network: Network, name: str) -> Tensor:
    """Return a weight that a parametrisation computes, as its layer uses it when it is evaluated."""
    from snncompress import evaluating, leaving_generators

    path, _, leaf = name.rpartition(".")
    layer = network.module.get_submodule(path)
    with evaluating(layer), leaving_generators():
        weight: Tensor = getattr(layer, leaf)
    return weight.detach()


def _no_weights(network: Network, terms: Sequence[str]) -> str:
    near = [name for bad in network.inventory.unmatched(terms) for name in bad.near]
    hint = f"near: {', '.join(near)}" if near else "see `snncompress inspect`"
    return f"metric 'sparsity': selector {list(terms)!r} picks no synaptic weight of this network; {hint}"


def _zero_part(values: Sequence[Tensor]) -> float:
    total = sum(value.numel() for value in values)
    return sum(int((value == 0).sum()) for value in values) / max(1, total)
