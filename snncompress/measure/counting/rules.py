"""What each function of torch counts as."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from snncompress.counts import Kind
from snncompress.errors import CountError
from snncompress.measure.counting.calls import FunctionCall
from snncompress.measure.counting.handing import ADAPTIVE_POOLS, AVERAGE_POOLS, MAX_POOLS
from snncompress.measure.counting.marks import is_fixed
from snncompress.measure.counting.products import attention, einsum, matmul, multiply
from snncompress.measure.counting.weighted import cell, convolution, count_elements, linear

if TYPE_CHECKING:
    from snncompress.measure.counting.counter import Counter

Rule = Callable[["Counter", FunctionCall], None]

_CONVOLUTIONS = tuple(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3))
_SOUNDS = frozenset(
    (
        *(
            "mm",
            "bmm",
            "addmm",
            "baddbmm",
            "addbmm",
            "mv",
            "addmv",
            "matmul",
            "linear",
            "bilinear",
            "trilinear",
            "einsum",
        ),
        *(
            "tensordot",
            "dot",
            "vdot",
            "vecdot",
            "addr",
            "ger",
            "outer",
            "inner",
            "kron",
            "cdist",
            "conv",
            "convolution",
        ),
        *("conv1d", "conv2d", "conv3d", "attention", "rnn", "lstm", "gru", "cell", "fft", "stft", "istft"),
    )
)


def rule_of(name: str) -> Rule | None:
    """Return the rule of a function, or None where it multiplies nothing."""
    return _RULES.get(name) or (refuse if multiplies(name) else None)


@cache
def multiplies(name: str) -> bool:
    """Tell whether a function's name sounds like a product of matrices."""
    words = set(name.lower().strip("_").split("_"))
    return bool(words & _SOUNDS) and not words & {"upsample", "can"}


def refuse(counter: Counter, call: FunctionCall) -> None:
    """Raise CountError: this function multiplies, and no rule says how often."""
    raise CountError(
        f"{counter.place} calls {call.name!r}, which no rule counts; "
        "write it with linear, convolutions, matmul, einsum or scaled_dot_product_attention"
    )


def _elements(kind: Kind) -> Rule:
    def rule(counter: Counter, call: FunctionCall) -> None:
        is_live = any(not is_fixed(x) for x in call.tensors[:1])
        if is_live and not counter.is_inside_state and isinstance(call.result, Tensor):
            count_elements(counter, call.name, kind, call.result)

    return rule


_KINDS: dict[Kind, tuple[str, ...]] = {
    "norm": ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"),
    "pool": (*MAX_POOLS, *AVERAGE_POOLS, *ADAPTIVE_POOLS),
    "softmax": ("softmax", "log_softmax"),
    "other": (
        *("relu", "relu_", "gelu", "silu", "sigmoid", "tanh", "elu", "leaky_relu", "hardswish", "hardsigmoid", "mish"),
        *("softplus", "exp"),
    ),
}

_RULES: dict[str, Any] = {
    "linear": linear,
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), cell),
    **dict.fromkeys(_CONVOLUTIONS, convolution),
    **dict.fromkeys(
        ("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "dot", "vdot", "baddbmm", "addmm", "addmv"), matmul
    ),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    **dict.fromkeys(("mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__", "addcmul"), multiply),
    **{name: _elements(kind) for kind, names in _KINDS.items() for name in names},
}
