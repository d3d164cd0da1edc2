"""What the plugin registers, and that registering imports no torch."""

from __future__ import annotations

import subprocess
import sys

from snncompress import import_object
from snncompress_timm import snncompress_anatomies, snncompress_modules

PROGRAM = """
import sys, snncompress_timm as plugin
names = [kind.model_fields["use"].default for kind in plugin.snncompress_architectures()]
plugin.snncompress_anatomies(), plugin.snncompress_modules()
assert not {"torch", "timm"} & set(sys.modules)
print(",".join(names))
"""


def test_registration_imports_no_torch():
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "timm.vision_transformer,timm.swin_transformer"


def test_everything_is_where_the_hooks_say():
    for place in {**snncompress_anatomies(), **snncompress_modules()}.values():
        assert isinstance(import_object(place), type)
