import re
from html import unescape
from pathlib import Path

import pytest

from snncompress import Comparison, Entry, Host, Record, Summary
from snncompress.record import Sweep
from snncompress.run.replicates import Replicates
from snncompress.run.result import Result
from snncompress.run.sweeps import Swept


@pytest.fixture
def record():
    return Record(
        name="<tiny>", pipeline={"seed": 0}, environment={}, steps=(), baseline={}, final={}, artifact="runs/tiny/final"
    )


@pytest.fixture
def summary():
    return Summary(name="seeds", pipeline={}, environment={}, seeds=(), runs=(), baseline={}, final={})


@pytest.fixture
def comparison():
    entries = tuple(Entry(name=name, folder=f"runs/{name}") for name in ("dense", "sparse"))
    return Comparison(entries=entries, baseline="dense", shared=())


@pytest.fixture
def page():
    return Host.from_environment().catalogue["reporters"]["html"]()


def framed(shown):
    """Return the page in a frame, and what the frame itself may do."""
    found = re.fullmatch(r'<iframe [^>]*sandbox="([^"]*)" srcdoc="([^"]*)"[^>]*></iframe>', shown)
    return unescape(found[2]), found[1]


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(record, summary, comparison, page):
    assert framed(record._repr_html_()) == (page.render(record), "allow-scripts")
    assert framed(summary._repr_html_()) == (page.render_summary(summary), "allow-scripts")
    assert framed(comparison._repr_html_()) == (page.render_comparison(comparison), "allow-scripts")


def test_the_result_of_a_run_shows_its_record(record, page):
    shown = Result(record, Path("runs/tiny"), plan=None)._repr_html_()
    assert framed(shown)[0] == page.render(record)


def test_runs_over_seeds_show_their_summary_and_a_sweep_its_comparison(summary, comparison, page):
    replicates = Replicates(summary, Path("runs/seeds"), results=())
    swept = Swept(Sweep(name="tiny", over={}, combinations=()), Path("runs/sweep"), comparison, results={})
    assert framed(replicates._repr_html_())[0] == page.render_summary(summary)
    assert framed(swept._repr_html_())[0] == page.render_comparison(comparison)


def test_without_the_reporter_a_notebook_shows_the_plain_text(record, monkeypatch):
    monkeypatch.setenv("SNNCOMPRESS_PLUGINS", "core")
    assert record._repr_html_() is None
