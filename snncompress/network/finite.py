"""Values that no network can compute with: NaN, and infinite weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from snncompress.errors import ModelError


def require_finite(module: nn.Module, what: str) -> None:
    """Raise ModelError that names a parameter or buffer of ``module`` with NaN, or a parameter with an infinite value.

    A buffer may hold an infinite value on purpose, a mask of an attention for example.
    """
    for name, value in module.named_parameters():
        if value.is_floating_point() and not value.is_meta and not _sums(value):
            raise ModelError(f"{name!r} of {what} holds values that are not finite{_ADVICE}")
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point() and not buffer.is_meta and bool(buffer.isnan().any()):
            raise ModelError(f"{name!r} of {what} holds values that are not finite{_ADVICE}")


def not_finite(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor that is not finite, though the one that it will replace is."""
    for name, value in tensors.items():
        if value.is_floating_point() and not _sums(value):
            own = wanted[name]
            if bool(value.isnan().any()) or own.is_meta or bool(own.isfinite().all()):
                return name
    return None


def _sums(value: Tensor) -> bool:
    """Tell whether every value is finite; a finite sum says so quickly."""
    return bool(value.detach().sum().isfinite()) or bool(value.detach().isfinite().all())


_ADVICE = ": a training that diverged has left them; take weights from before that"
