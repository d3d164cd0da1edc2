"""Images in one folder per class."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from snncompress import Count, Data, DataError, Inputs, Settings, did_you_mean
from snncompress_data.fields import HeldOut, Size, num_held_out
from snncompress_data.files import existing

if TYPE_CHECKING:
    from snncompress_data.samples import Samples

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
Labelled = tuple[Path, int]


class ImageFolder(Settings):
    """Read root/train/CLASS/*.png or *.jpg, root/test/CLASS/... and perhaps root/validation/CLASS/...

    Classes are the folders of root/train in name order. Images of another size are resized (bilinear, antialiased).
    They are decoded when a split is first used, and stay in memory as bytes.
    """

    use: Literal["image_folder"] = "image_folder"
    root: str = Field(description="Folder that holds train/ and test/.")
    size: Size = Field(description="Height and width, [H, W] or one number for both.")
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for colour; images are converted.")
    limit: Count | None = Field(None, description="At most so many images of each class in each split, in name order.")
    validation: HeldOut | None = Field(
        None,
        description="Where there is no root/validation: how many of each class's training images, the last by name.",
    )

    def inputs(self) -> Inputs:
        """Return shape, classes and number from the names of folders and files; raise DataError if any are missing."""
        train, _ = self._train_and_validation()
        return self._inputs(train)

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of their labels."""
        found = tuple(folder.name for folder in _class_folders(self._folder("train")))
        if not found:
            raise DataError(f"root: {str(self._folder('train'))!r} holds no class folders")
        return found

    def fingerprint(self) -> str:
        """Return a hash of the names, sizes and times of change of all image files."""
        total = hashlib.sha256()
        root = existing(self.root, "root")
        for name in ("train", "validation", "test"):
            for folder in _class_folders(root / name):
                for file in _images(folder):
                    state = file.stat()
                    total.update(f"{file.relative_to(root)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return total.hexdigest()

    def load(self, seed: int) -> Data:
        """Return the splits of the folder, which are the same for every seed."""
        del seed
        train, validation = self._train_and_validation()
        return Data(
            self._samples(train, "train"),
            self._samples(validation, "validation"),
            self._samples(self._files("test"), "test"),
            self._inputs(train),
        )

    def _folder(self, split: str) -> Path:
        return existing(existing(self.root, "root") / split, "root")

    def _files(self, split: str) -> list[list[Path]]:
        folder, classes = self._folder(split), self.classes()
        for found in _class_folders(folder):
            if found.name not in classes:
                raise DataError(f"{str(found)!r} is no class of 'train'; {did_you_mean(found.name, classes)}")
        per_class = [_images(folder / name)[: self.limit] for name in classes]
        if split == "train" and not all(per_class):
            raise DataError(
                f"{str(folder / classes[per_class.index([])])!r} holds no {' or '.join(sorted(SUFFIXES))} file"
            )
        return per_class

    def _inputs(self, train: list[list[Path]]) -> Inputs:
        return Inputs((self.channels, *self.size), len(train), num_train=sum(map(len, train)))

    def _train_and_validation(self) -> tuple[list[list[Path]], list[list[Path]]]:
        per_class = self._files("train")
        if not (existing(self.root, "root") / "validation").is_dir():
            return self._held_out(per_class)
        if self.validation is not None:
            raise DataError(
                f"{self.root!r} has a folder 'validation'; remove 'validation: {self.validation}' or the folder"
            )
        return per_class, self._files("validation")

    def _held_out(self, per_class: list[list[Path]]) -> tuple[list[list[Path]], list[list[Path]]]:
        if self.validation is None:
            raise DataError(
                f"{self.root!r} has no folder 'validation'; set 'validation', for example 'validation: 0.1'"
            )
        train, validation = [], []
        for name, files in zip(self.classes(), per_class, strict=True):
            end = len(files) - num_held_out(self.validation, len(files), f"{self.root!r}, class {name!r}")
            train.append(files[:end])
            validation.append(files[end:])
        return train, validation

    def _samples(self, per_class: list[list[Path]], split: str) -> Samples:
        import torch

        from snncompress_data.images import ImageFiles
        from snncompress_data.samples import Samples

        labelled: list[Labelled] = [(file, label) for label, files in enumerate(per_class) for file in files]
        if not labelled:
            raise DataError(f"{str(self._folder(split))!r} holds no image of any class of 'train'")
        files, labels = zip(*labelled, strict=True)
        return Samples(ImageFiles(files, self.size, self.channels), torch.tensor(labels), range(len(files)))


def _class_folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
