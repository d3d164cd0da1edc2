"""How active the neurons are: rates over layers and time, the silent and the saturated, one sample's spikes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import fmean

from snncompress import Activity, LayerActivity
from snncompress_report.details import Side
from snncompress_report.document import Block, Cell, Fold, Picture, Section, Table, Words
from snncompress_report.numbers import percent

_TITLE = "Activity"
_MOST_COLUMNS = 32
_LOW = 0.1
"""Below this rate, per cent have a decimal."""
_COLLAPSED = 0.1
"""A layer has collapsed where its rate is below this part of the baseline's."""


def activity(before: Side, after: Side) -> Section:
    """Show firing rates over layers and time, neurons that never or always fire, and one sample."""
    if after.activity is None:
        return Section("activity", _TITLE, (), ("spikes",))
    return Section("activity", _TITLE, tuple(_blocks(before.activity, after.activity)))


def _blocks(was: Activity | None, now: Activity) -> Iterator[Block]:
    if not now.layers:
        yield Words("This network has no neurons that fire.", "quiet")
        return
    yield collapse(was, now)
    yield silent(now)
    yield _neurons(was, now)
    known = [one for one in (was, now) if one is not None]
    hottest = max((rate for one in known for layer in one.layers for rate in layer.rates), default=0.0)
    yield _heat("Firing rate by layer and time step, final, %", now, hottest)
    if was is not None:
        yield _heat("Firing rate by layer and time step, baseline, %", was, hottest)
    if any(layer.raster for layer in now.layers):
        pictures = tuple(_raster(layer) for layer in now.layers if layer.raster)
        title = "Spikes of the first test sample: time to the right, up to 48 neurons of each layer downwards"
        yield Fold(title, pictures, is_open=True)


def collapse(was: Activity | None, now: Activity) -> Words:
    """Name the first layer whose rate has fallen below a tenth of the baseline's."""
    if was is None:
        return Words("The activity of the baseline was not measured.", "quiet")
    after = {layer.path: layer for layer in now.layers}
    pairs = [(layer, after[layer.path]) for layer in was.layers if layer.path in after and layer.rate]
    first = next(((old, new) for old, new in pairs if new.rate < _COLLAPSED * old.rate), None)
    if first is None:
        return Words("No layer has lost nine tenths of its activity.", "good")
    old, new = first
    rates = f"from {percent(old.rate)} to {percent(new.rate)}"
    return Words(f"The activity collapses first in {old.path!r}: its firing rate falls {rates}.", "bad")


def silent(now: Activity) -> Words:
    """Say how many neurons never fire, and how many always do."""
    every = max(1, sum(layer.neurons for layer in now.layers))
    dead, saturated = (sum(getattr(layer, name) for layer in now.layers) for name in ("dead", "saturated"))
    never = f"{dead:,} of {every:,} neurons ({percent(dead / every)}) never fire on the test split"
    return Words(f"{never}; {saturated:,} ({percent(saturated / every)}) fire at every step of every sample.")


def _neurons(was: Activity | None, now: Activity) -> Table:
    before = {layer.path: layer for layer in was.layers} if was else {}
    head = ("neuron layer", "firing rate", "neurons", "never fire", "always fire")
    rows = tuple(_layer(layer, before.get(layer.path)) for layer in now.layers)
    return Table("Neurons of the final network", head, rows, "sortable")


def _layer(now: LayerActivity, was: LayerActivity | None) -> tuple[Cell, ...]:
    before = was.rate if was else None
    under = f"was {percent(before)}" if before is not None and before != now.rate else ""
    return (
        Cell(now.path, under=now.kind),
        Cell(percent(now.rate), value=now.rate, under=under, bar=now.rate, bar_before=before),
        Cell(f"{now.neurons:,}", value=now.neurons),
        _part(now.dead, now, was.dead if was else None),
        _part(now.saturated, now, was.saturated if was else None),
    )


def _part(number: int, layer: LayerActivity, was: int | None) -> Cell:
    part = number / max(1, layer.neurons)
    under = f"was {was:,}" if was is not None and was != number else ""
    return Cell(f"{number:,} ({percent(part)})", value=number, under=under, bar=part)


def _heat(caption: str, activity: Activity, hottest: float) -> Table:
    width = max(1, *(len(layer.rates) for layer in activity.layers))
    group = -(-width // _MOST_COLUMNS)
    spans = [(start, min(start + group, width)) for start in range(0, width, group)]
    head = ("layer", *(str(start + 1) if end == start + 1 else f"{start + 1}-{end}" for start, end in spans))
    rows = tuple((Cell(layer.path), *(_warm(layer.rates[a:b], hottest) for a, b in spans)) for layer in activity.layers)
    told = caption if group == 1 else f"{caption} (mean over {group} steps in a column)"
    return Table(told, head, rows, "heat")


def _warm(rates: tuple[float, ...], hottest: float) -> Cell:
    if not rates:
        return Cell("")
    rate = fmean(rates)
    text = f"{100 * rate:.0f}" if rate >= _LOW else f"{100 * rate:.2g}"
    return Cell(text, value=rate, heat=rate / hottest if hottest else 0)


def _raster(layer: LayerActivity) -> Picture:
    spikes, steps = sum(line.count("1") for line in layer.raster), len(layer.raster[0])
    told = f"{spikes} spikes of {len(layer.raster)} neurons in {steps} time steps"
    return Picture(layer.path, f"Raster of {layer.path}: {told}.", partial(_draw, layer.raster), small=True)


def _draw(lines: tuple[str, ...]) -> str:
    from snncompress_report.raster import raster

    return raster(lines)
