"""What the metrics write is what the page reads."""

import re

import pytest

from snncompress import Record, run

PIPELINE = {
    "version": 1,
    "name": "reported",
    "model": {"use": "snntorch.convnet"},
    "data": {"use": "digits", "size": 8},
    "timesteps": 2,
    "steps": [{"use": "train", "epochs": 1}, {"use": "prune.l1", "fraction": 0.5}],
    "measure": [
        *({"use": name} for name in ("accuracy", "parameters", "sparsity", "size", "spikes", "synops", "energy")),
        {"use": "latency", "repeats": 3},
    ],
    "report": [{"use": "text"}, {"use": "html"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("reported")
    run(PIPELINE, output=place / "run", store=place / "store", silent=True)
    return place / "run"


def test_every_section_of_a_real_run_is_filled(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Not measured" not in page
    assert "Not measured" not in (folder / "report.txt").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="(\w+)"', page)
    assert sections == [
        "steps",
        "budgets",
        "values",
        "sizes",
        "layers",
        "activity",
        "timesteps",
        "energy",
        "events",
        "training",
        "provenance",
    ]


def test_every_value_of_the_saved_record_stands_in_the_page_unrounded(folder):
    record = Record.read(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    shown = {float(value) for value in re.findall(r'<data value="([^"]+)">', page)}
    values = [found.value for found in (*record.baseline.values(), *record.final.values()) if found.value is not None]
    assert len(values) > 30
    assert set(map(float, values)) <= shown


def test_the_layers_of_the_page_add_up_to_the_values_of_the_record(folder):
    record = Record.read(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    layers = page.split('<section id="layers"', 1)[1].split("</section>", 1)[0]
    counted = re.findall(r'<data value="([^"]+)">[^<]* (synops|MACs|attention)</data>', layers)
    for word, name in (("synops", "synops"), ("MACs", "macs"), ("attention", "attention_ops")):
        total = sum(float(value) for value, kind in counted if kind == word)
        assert total == pytest.approx(record.final[name].value, rel=1e-12)


def test_rendering_again_from_the_file_gives_the_same_pages(folder):
    from snncompress_report.html import Html
    from snncompress_report.text import Text

    record = Record.read(folder)
    assert Html().render(record) == (folder / "report.html").read_text(encoding="utf-8")
    assert Text().render(record) == (folder / "report.txt").read_text(encoding="utf-8")
