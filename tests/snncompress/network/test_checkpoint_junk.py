"""Checkpoints of every kind of junk: one clear error, whatever the file is called."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from snncompress import ModelError
from snncompress.network import read_checkpoint

WANTED = nn.Linear(3, 2).state_dict()


def archive(file):
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("notes.txt", "nothing")


def numpy_file(array):
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


def half(file):
    torch.save(WANTED, file)
    file.write_bytes(file.read_bytes()[:700])


JUNK = {
    "text": (
        lambda file: file.write_text("hello\nworld"),
        r"cannot be read as plain tensors \(it is no file that torch.save has written, or is damaged\); save",
    ),
    "empty": (
        lambda file: file.write_bytes(b""),
        r"cannot be read as plain tensors \(it is empty\); save the state dict",
    ),
    "image": (
        lambda file: Image.new("RGB", (8, 8)).save(file, format="PNG"),
        r"plain tensors \(it is an image\); save",
    ),
    "array": (lambda file: file.write_bytes(numpy_file(np.ones(3))), r"plain tensors \(it is an array\); save"),
    "archive": (archive, "cannot be read as plain tensors"),
    "module": (lambda file: torch.save(nn.Linear(3, 2), file), "cannot be read as plain tensors"),
    "pickle": (lambda file: file.write_bytes(pickle.dumps({"a": 1})), "cannot be read|holds no state dict"),
    "half": (half, "cannot be read as plain tensors"),
    "tensor": (lambda file: torch.save(torch.ones(2), file), "holds no state dict but a Tensor; save one: torch.save"),
    "history": (lambda file: torch.save({"epoch": 3, "lr": 0.1}, file), "no state dict but a dict with 'epoch', 'lr'"),
    "nothing": (lambda file: torch.save({}, file), "holds no state dict but an empty dict"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ""])
@pytest.mark.parametrize(("write", "why"), JUNK.values(), ids=JUNK)
def test_junk_is_one_clear_error(tmp_path, write, why, suffix):
    file = tmp_path / f"weights{suffix}"
    write(file)
    with pytest.raises(ModelError, match=why) as caught:
        read_checkpoint(file, WANTED)
    assert str(file) in str(caught.value)


def test_a_file_is_read_by_what_it_holds_and_not_by_its_name(tmp_path):
    save_file(dict(WANTED), tmp_path / "really_safetensors.pt")
    torch.save(WANTED, tmp_path / "really_torch.safetensors")
    for name in ("really_safetensors.pt", "really_torch.safetensors"):
        found = read_checkpoint(tmp_path / name, WANTED)
        assert all(torch.equal(value, WANTED[key]) for key, value in found.items())


def test_a_damaged_file_never_ends_in_a_traceback(tmp_path):
    """Bytes are changed at random places of three kinds of files; what is read all the same is as good as any weight."""
    drawn, file = np.random.default_rng(0), tmp_path / "damaged"
    torch.save(WANTED, tmp_path / "new")
    torch.save(WANTED, tmp_path / "old", _use_new_zipfile_serialization=False)
    save_file(dict(WANTED), tmp_path / "safe")
    sound = [(tmp_path / name).read_bytes() for name in ("new", "old", "safe")]
    refused = 0
    for _ in range(600):
        content = bytearray(sound[drawn.integers(len(sound))])
        for place in drawn.integers(len(content), size=drawn.integers(1, 7)):
            content[place] = drawn.integers(256)
        file.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read_checkpoint(file, WANTED)
        except ModelError:
            refused += 1
    assert refused > 100
