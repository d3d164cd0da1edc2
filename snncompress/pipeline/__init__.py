"""Text in, a checked ``Pipeline`` or all problems at once out; imports no torch and opens no model."""

from __future__ import annotations

from snncompress.pipeline.budget import Budget
from snncompress.pipeline.inner import read_component
from snncompress.pipeline.model import Pipeline, pipeline_model, schema
from snncompress.pipeline.over import Choice, choices, read_axes
from snncompress.pipeline.recipes import recipes
from snncompress.pipeline.source import (
    Source,
    entries_of,
    load_pipeline,
    parts_from,
    pipeline_from,
    read_model,
    read_parts,
    read_source,
)

__all__ = [
    "Budget",
    "Choice",
    "Pipeline",
    "Source",
    "choices",
    "entries_of",
    "load_pipeline",
    "parts_from",
    "pipeline_from",
    "pipeline_model",
    "read_axes",
    "read_component",
    "read_model",
    "read_parts",
    "read_source",
    "recipes",
    "schema",
]
