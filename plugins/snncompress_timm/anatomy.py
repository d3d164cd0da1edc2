"""The blocks of timm's vision Transformers, and which tensors share which inner dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from timm.layers.mlp import Mlp
from timm.models.swin_transformer import WindowAttention
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined] # defined elsewhere since 1.0.21
from torch import nn

from snncompress import Block, Dimension, Place, Preparation, Width
from snncompress_timm.attention import CutAttention, CutWindowAttention

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


class TimmAnatomy:
    """Knows attention and MLPs of ViT and Swin, cut ones too, wherever they stand in a network."""

    def blocks(self, network: Network, x: Tensor) -> Iterable[Block]:
        """Yield attention and MLP of every Transformer block; one whose layers are no plain linear ones is not known."""
        del x
        for path, module in network.module.named_modules():
            describe, layers = _KNOWN.get(type(module), (None, ()))
            if describe and all(type(getattr(module, name)) is nn.Linear for name in layers):
                yield from describe(path, module)


def _attention(path: str, module: Any) -> Iterable[Block]:
    """Yield one block, or one for each dimension where a norm stands in the way of one of them."""
    kind, preparation = _KINDS[type(module)]
    dimensions = (_query_and_key(path, module), _value(path, module))
    faults = (
        _fault(module, ("q_norm", "k_norm"), "a norm of queries and keys"),
        _fault(module, ("norm",), "a norm between value and projection"),
    )
    if not any(faults):
        yield Block(path, kind, dimensions, preparation=preparation)
        return
    for dimension, fault in zip(dimensions, faults, strict=True):
        yield Block(path, kind, (dimension,), fault, preparation)


def _query_and_key(path: str, module: Any) -> Dimension:
    size, _ = _sizes(module)
    rows = [_written(f"{path}.qkv", module.qkv, start) for start in (0, size)]
    return Dimension(
        f"{path} query and key",
        ("qk",),
        size,
        module.num_heads,
        tuple(weight for weight, _ in rows),
        tuple(bias for _, biases in rows for bias in biases),
        widths=(_out(f"{path}.qkv"), Width(path, "qk_width")),
    )


def _value(path: str, module: Any) -> Dimension:
    qk, size = _sizes(module)
    weight, others = _written(f"{path}.qkv", module.qkv, 2 * qk)
    widths = [_out(f"{path}.qkv"), _in(f"{path}.proj"), Width(path, "v_width")]
    if getattr(module, "gate", None) is not None:
        opening, biases = _written(f"{path}.gate", module.gate)
        others = (*others, opening, *biases)
        widths.append(_out(f"{path}.gate"))
    weights = (weight, Place(f"{path}.proj.weight", 1))
    return Dimension(f"{path} value", ("v",), size, module.num_heads, weights, others, widths=tuple(widths))


def _mlp(path: str, module: Any) -> Iterable[Block]:
    weight, others = _written(f"{path}.fc1", module.fc1)
    hidden = Dimension(
        f"{path} hidden",
        ("mlp",),
        module.fc1.out_features,
        weights=(weight, Place(f"{path}.fc2.weight", 1)),
        others=others,
        widths=(_out(f"{path}.fc1"), _in(f"{path}.fc2")),
    )
    yield Block(path, "MLP", (hidden,), _fault(module, ("norm",), "a norm between its layers"))


def _sizes(module: Any) -> tuple[int, int]:
    """Return how many rows of the fused layer are queries (or keys), and how many are values."""
    whole = module.qkv.out_features // 3 // module.num_heads
    qk, v = (module.num_heads * getattr(module, name, whole) for name in ("qk_width", "v_width"))
    return qk, v


def _written(layer: str, module: nn.Linear, start: int = 0) -> tuple[Place, tuple[Place, ...]]:
    """Return the rows of a layer from ``start`` on, and those of its bias."""
    bias = (Place(f"{layer}.bias", 0, start),) if module.bias is not None else ()
    return Place(f"{layer}.weight", 0, start), bias


def _out(layer: str) -> Width:
    return Width(layer, "out_features", f"{layer}.weight", 0)


def _in(layer: str) -> Width:
    return Width(layer, "in_features", f"{layer}.weight", 1)


def _fault(module: Any, names: tuple[str, ...], what: str) -> str:
    """Return why norms by these names stand in the way; a module of an earlier timm may lack one."""
    parts = {name: getattr(module, name, None) for name in names}
    normed = [name for name, part in parts.items() if part is not None and type(part) is not nn.Identity]
    return f"{what} ({', '.join(normed)}) sees all channels together" if normed else ""


_TO_CUT = Preparation("timm.cut_attention")
_TO_CUT_IN_WINDOWS = Preparation("timm.cut_window_attention")
_KINDS: dict[type[nn.Module], tuple[str, Preparation | None]] = {
    Attention: ("self-attention", _TO_CUT),
    CutAttention: ("self-attention", None),
    WindowAttention: ("self-attention in windows", _TO_CUT_IN_WINDOWS),
    CutWindowAttention: ("self-attention in windows", None),
}

_KNOWN: dict[type[nn.Module], tuple[Callable[[str, Any], Iterable[Block]], tuple[str, ...]]] = {
    **dict.fromkeys(_KINDS, (_attention, ("qkv", "proj"))),
    Mlp: (_mlp, ("fc1", "fc2")),
}
"""Classes by exact type, for one derived from them may compute otherwise, and their layers, which may be others too."""
