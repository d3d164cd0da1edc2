"""Parts that a network has for each time step: why it does not run when there are fewer of them than steps."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

_LISTS = (nn.ModuleList, nn.ParameterList, nn.Sequential)
_NORM = nn.modules.batchnorm._NormBase  # noqa: SLF001 - torch gives the base of these norms no public name


def fault_of_steps(root: nn.Module, num_steps: int, error: Exception) -> str:
    """Say which list of parts, or which norm's scale of time steps, is shorter than the ``num_steps`` that ``error`` ended.

    Nothing where the error has another cause.
    """
    paths = {module: path for path, module in root.named_modules()}
    for module in _modules_behind(error):
        path = paths.get(module)
        if path is None:
            continue
        if isinstance(error, IndexError) and isinstance(module, _LISTS) and len(module) < num_steps:
            return _fault(path, f"{len(module)} parts", len(module), num_steps)
        for held in _scales(module):
            if {f"({held})", f"({num_steps})"} <= set(re.findall(r"\(\d+\)", str(error))) and held != num_steps:
                return _fault(path, f"values for {held} steps", held, num_steps)
    return ""


def _fault(path: str, what: str, number: int, num_steps: int) -> str:
    return (
        f"the network runs {num_steps} time steps, but {path!r} holds {what}; set {number} time steps, or build it with "
        f"{num_steps}"
    )


def _modules_behind(error: Exception) -> Iterator[nn.Module]:
    """Yield the modules in whose methods an error was raised, the innermost first."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        holder = trace.tb_frame.f_locals.get("self")
        if isinstance(holder, nn.Module):
            found.append(holder)
        trace = trace.tb_next
    return reversed(found)


def _scales(module: nn.Module) -> Iterator[int]:
    """Yield the sizes of parameters that may be one value for each step: several along the first axis alone."""
    own = module.named_parameters(recurse=False)
    for name, value in own:
        is_by_channel = isinstance(module, _NORM) and name in ("weight", "bias")
        if value.numel() > 1 and value.shape[0] == value.numel() and not is_by_channel:
            yield value.numel()
