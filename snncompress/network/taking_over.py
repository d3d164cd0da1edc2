"""Modules that go on with the parts of the one whose place they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn


class TakeOver:
    """Base of module builders whose module takes over the old one's parts, under the same names and values included.

    A subclass names in ``kind`` what is made of the old module, by a call with it as the only argument.
    """

    kind: ClassVar[type[nn.Module]]

    def build(self, old: nn.Module, arguments: Mapping[str, Any]) -> nn.Module:
        """Return the new module, which holds the very parts of ``old``."""
        del arguments
        return self.kind(old)

    def transfer(self, old: nn.Module, new: nn.Module) -> None:
        """Do nothing: there are no values but the old ones."""
