"""Text in, a checked ``Pipeline`` or all problems at once out; imports no torch and opens no model."""

from __future__ import annotations

from snncompress.pipeline.budget import Budget
from snncompress.pipeline.model import Pipeline, pipeline_model, schema
from snncompress.pipeline.recipes import recipes
from snncompress.pipeline.source import Source, load_pipeline, pipeline_from, read_model

__all__ = [
    "Budget",
    "Pipeline",
    "Source",
    "load_pipeline",
    "pipeline_from",
    "pipeline_model",
    "read_model",
    "recipes",
    "schema",
]
