from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import snncompress_data

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "data.md"
SNIPPETS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
KNOWN = {
    known.model_fields["use"].default: known
    for known in [*snncompress_data.snncompress_datasets(), *snncompress_data.snncompress_encoders()]
}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_of_the_guide_is_valid(snippet):
    ((_, settings),) = yaml.safe_load(snippet).items()
    assert KNOWN[settings["use"]](**settings).use == settings["use"]


def test_the_guide_shows_every_data_set_and_encoder():
    shown = {settings["use"] for snippet in SNIPPETS for settings in yaml.safe_load(snippet).values()}
    assert shown == set(KNOWN)
