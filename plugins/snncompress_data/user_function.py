"""Data from a function of the user's own."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snncompress import Count, Data, DataError, Inputs, Settings, import_object, source_hash
from snncompress_data.fields import Shape

_NUM_AXES = {"static": 3, "frames": 4}
IMPORTABLE = "install it, or put the folder that holds it on PYTHONPATH"
_SPLITS = ("train", "validation", "test")


class PythonData(Settings):
    """Call a function of your own that returns (train, validation, test), or a ``Data``.

    Each split is a map-style torch data set of (x, label) or a ``DataLoader`` of (x_B..., labels_B), x a tensor or a NumPy
    array. The first batch of each is compared with ``shape`` and ``num_classes`` before anything is trained. The function runs
    only where ``--allow-code`` allows it, and is called with ``arguments`` alone: its split is the same for every seed.
    """

    needs_code: ClassVar[bool] = True

    use: Literal["python"] = "python"
    function: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="The function, as MODULE:FUNCTION; the module must be importable.",
    )
    arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for the function.")
    shape: Shape = Field(description="Shape of one sample: [C, H, W], or [T, C, H, W] for frames.")
    num_classes: Count = Field(description="Number of classes; labels are 0 to num_classes - 1.")
    kind: Literal["static", "frames"] = Field(
        "static", description="Static images, or event frames that bring their time."
    )

    @model_validator(mode="after")
    def _shape_fits_kind(self) -> Self:
        if len(self.shape) != _NUM_AXES[self.kind]:
            layout = "[C, H, W]" if self.kind == "static" else "[T, C, H, W]"
            raise ValueError(f"shape {list(self.shape)} does not fit kind {self.kind!r}, whose samples are {layout}")
        return self

    def inputs(self) -> Inputs:
        """Return what the settings say; runs no code."""
        return Inputs(self.shape, self.num_classes, self.kind)

    def fingerprint(self) -> str:
        """Return a hash of the module's source file and of the arguments; raise DataError if there is no such file."""
        source = source_hash(self.function)
        if not source:
            raise DataError(
                f"function: module {self.function.partition(':')[0]!r} cannot be found or has no source file; {IMPORTABLE}"
            )
        arguments = json.dumps(self.canonical()["arguments"], sort_keys=True)
        return hashlib.sha256(f"{source}\0{arguments}".encode()).hexdigest()

    def load(self, seed: int) -> Data:
        """Return the splits that the function returns; raise DataError if it is missing or returns something else."""
        del seed
        function = import_object(self.function, error=DataError)
        if not callable(function):
            raise DataError(f"function: {self.function!r} is {_described(function)}, which cannot be called")
        try:
            inspect.signature(function).bind(**self.arguments)
        except TypeError as error:
            raise DataError(f"arguments: {self.function!r} does not take them: {error}") from error
        returned = function(**self.arguments)
        if isinstance(returned, Data):
            return self._checked(returned)
        if not isinstance(returned, (tuple, list)) or len(returned) != len(_SPLITS):
            raise DataError(
                f"{self.function!r} returned {_described(returned)}; it should be (train, validation, test) or a Data"
            )
        train, validation, test = returned
        return self._checked(Data(train, validation, test, self.inputs()))

    def _checked(self, data: Data) -> Data:
        if replace(data.inputs, num_train=None) != self.inputs():
            raise DataError(f"{self.function!r} returned data of {data.inputs}; its settings say {self.inputs()}")
        for name in _SPLITS:
            _require_split(getattr(data, name), f"{self.function!r}: {name}")
        return data


def _require_split(split: Any, where: str) -> None:
    """Raise DataError unless a split can be read from; what its batches hold is looked at where they are read."""
    from torch.utils.data import DataLoader, IterableDataset

    if isinstance(split, DataLoader):
        if not hasattr(split.dataset, "__len__"):
            raise DataError(f"{where} is a DataLoader without a length; it should be one over a map-style data set")
        return
    map_style = hasattr(split, "__getitem__") and hasattr(split, "__len__")
    if not map_style or isinstance(split, (str, bytes, dict, IterableDataset)):
        raise DataError(f"{where} is {_described(split)}; it should be a map-style data set or a DataLoader")
    if not len(split):
        raise DataError(f"{where} is empty")


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
