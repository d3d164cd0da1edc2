"""The report of one run."""

from __future__ import annotations

from snncompress import Record
from snncompress_report.details import Side, side_of
from snncompress_report.document import Document, Section, Words
from snncompress_report.sections import compared, done
from snncompress_report.sections.activity import activity, collapse, silent
from snncompress_report.sections.energy import energy
from snncompress_report.sections.events import events, summary
from snncompress_report.sections.layers import layers
from snncompress_report.sections.neurons import neurons
from snncompress_report.sections.provenance import provenance
from snncompress_report.sections.sizes import sizes
from snncompress_report.sections.timesteps import timesteps
from snncompress_report.sections.training import training


def whole(record: Record) -> Document:
    """Return everything that the record tells, for a page."""
    before, after = side_of(record.baseline), side_of(record.final)
    found = (
        done.steps(record),
        done.budgets(record),
        compared.values(before, after),
        sizes(before, after, masked=record.masked),
        layers(before, after),
        activity(before, after),
        timesteps(before, after),
        energy(before, after),
        events(after),
        training(record),
        neurons(record),
        provenance(record),
    )
    sections = tuple(section for section in found if section is not None)
    return Document(record.name, _lead(record), compared.facts(before, after), sections)


def essentials(record: Record) -> Document:
    """Return what fits on a screen of text."""
    before, after = side_of(record.baseline), side_of(record.final)
    found = (
        done.steps(record),
        done.budgets(record),
        compared.values(before, after),
        sizes(before, after, masked=record.masked),
        energy(before, after),
        neurons(record),
        _findings(before, after),
    )
    sections = tuple(section for section in found if section is not None)
    return Document(record.name, _lead(record)[:1], (), sections)


def _lead(record: Record) -> tuple[Words, ...]:
    seconds = sum(step.seconds for step in record.steps)
    told = Words(f"{len(record.steps)} step(s), {seconds:.0f} s of work; artifact: {record.artifact}", "quiet")
    return (told, done.verdict(record)) if record.budget else (told,)


def _findings(before: Side, after: Side) -> Section:
    now = after.activity
    words = (collapse(before.activity, now), silent(now)) if now and now.layers else ()
    shares = (summary(after.counts),) if after.counts else ()
    missing = [name for name, known in (("synops", after.counts), ("spikes", now)) if known is None]
    return Section("findings", "Spikes", (*words, *shares), tuple(missing))
