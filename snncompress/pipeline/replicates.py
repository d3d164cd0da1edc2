"""A pipeline with several seeds as one pipeline for each."""

from __future__ import annotations

from dataclasses import replace

import yaml

from snncompress.pipeline.document import compose, serialize
from snncompress.pipeline.source import Source


def replicates(source: Source) -> tuple[Source, ...]:
    """Return one source for each of the pipeline's seeds; the source itself where it has no ``seeds``."""
    seeds = source.pipeline.seeds
    return (source,) if seeds is None else tuple(_with_seed(source, seed) for seed in seeds)


def _with_seed(source: Source, seed: int) -> Source:
    root, _ = compose(source.text, source.name)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - it has been read before
    root.value = [_only(pair, seed) for pair in root.value if pair[0].value != "seed"]
    pipeline = source.pipeline.model_copy(update={"seed": seed, "seeds": None})
    return replace(source, pipeline=pipeline, text=serialize(root))


def _only(pair: tuple[yaml.Node, yaml.Node], seed: int) -> tuple[yaml.Node, yaml.Node]:
    if pair[0].value != "seeds":
        return pair
    mark = pair[1].start_mark
    return (
        yaml.ScalarNode("tag:yaml.org,2002:str", "seed", mark, mark),
        yaml.ScalarNode("tag:yaml.org,2002:int", str(seed), mark, mark),
    )
