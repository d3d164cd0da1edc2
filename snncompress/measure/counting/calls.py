"""One call of a function of torch, as the counter sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class FunctionCall:
    """Hold a function, what it was given, and what it returned."""

    name: str
    function: Callable[..., Any]
    arguments: Sequence[Any]
    named: Mapping[str, Any]
    result: Any = None

    def given(self, *names: str) -> list[Any]:
        """Return the arguments of these names, in the order of the function's signature; None where not given."""
        found: dict[str, Any] = dict(zip(names, self.arguments, strict=False))
        return [found.get(name, self.named.get(name)) for name in names]

    @property
    def values(self) -> list[Any]:
        """Every argument, lists taken apart."""
        return list(flat([*self.arguments, *self.named.values()]))

    @property
    def tensors(self) -> list[Tensor]:
        """Every tensor among the arguments, except those that only take the result."""
        given = [*self.arguments, *(value for name, value in self.named.items() if name != "out")]
        return [value for value in flat(given) if isinstance(value, Tensor)]


def flat(value: Any) -> Iterator[Any]:
    """Yield what lists and tuples hold, however deep."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from flat(item)
    else:
        yield value
