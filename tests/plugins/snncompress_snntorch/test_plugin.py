"""What the plugin registers, and that registering imports no torch."""

from __future__ import annotations

import subprocess
import sys

import snncompress_snntorch
from snncompress_snntorch.backend import SnnTorchBackend

PROGRAM = """
import sys, snncompress_snntorch as plugin
names = [kind.model_fields["use"].default for kind in plugin.snncompress_architectures()]
plugin.snncompress_backends()
assert not {"torch", "snntorch"} & set(sys.modules)
print(",".join(names))
"""


def test_registration_imports_no_torch():
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "snntorch.convnet"


def test_the_backend_is_where_the_hook_says():
    (name, place), *others = snncompress_snntorch.snncompress_backends().items()
    assert not others
    assert (name, place) == (SnnTorchBackend.name, f"{SnnTorchBackend.__module__}:{SnnTorchBackend.__name__}")
