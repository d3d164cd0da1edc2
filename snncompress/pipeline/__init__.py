"""Text in, a checked ``Pipeline`` or all problems at once out; imports no torch and opens no model."""

from __future__ import annotations

from snncompress.pipeline.across import IN_HAND
from snncompress.pipeline.budget import Budget
from snncompress.pipeline.document import dump
from snncompress.pipeline.inner import read_component
from snncompress.pipeline.model import Pipeline, pipeline_model, schema
from snncompress.pipeline.over import Choice, choices, read_axes
from snncompress.pipeline.recipes import recipes, summary_of
from snncompress.pipeline.source import (
    Source,
    entries_of,
    load_pipeline,
    parts_from,
    pipeline_from,
    plain,
    read_model,
    read_parts,
    read_source,
)

__all__ = [
    "IN_HAND",
    "Budget",
    "Choice",
    "Pipeline",
    "Source",
    "choices",
    "dump",
    "entries_of",
    "load_pipeline",
    "parts_from",
    "pipeline_from",
    "pipeline_model",
    "plain",
    "read_axes",
    "read_component",
    "read_model",
    "read_parts",
    "read_source",
    "recipes",
    "schema",
    "summary_of",
]
