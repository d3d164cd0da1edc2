import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from snncompress import Activity, LayerActivity, Measurement, Record
from snncompress_report.html import Html
from snncompress_report.text import Text

VOID = {"meta", "link", "wbr", "br", "img"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ 7 * 7 }}"


class Reader(HTMLParser):
    """Keep every element with its attributes, the ids of the elements around it, and the text in it."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        node = SimpleNamespace(tag=tag, parents=tuple(self.open), text="", of=dict(attributes))
        self.found.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, text):
        for node in self.open:
            node.text += text

    def all(self, tag, inside=None):
        return [
            node
            for node in self.found
            if node.tag == tag and (inside is None or any(parent is inside for parent in node.parents))
        ]

    def section(self, key):
        return next(node for node in self.found if node.of.get("id") == key)

    def rows(self, key):
        """Return the rows of a section by their heading, each as the elements of its cells."""
        rows = [row for row in self.all("tr", self.section(key)) if self.all("th", row) and self.all("td", row)]
        return [(self.all("th", row)[0].text.strip(), self.all("td", row)) for row in rows]

    def row(self, key, heading):
        """Return the numbers behind the cells of a row, and None where a cell holds none."""
        cells = next(cells for name, cells in self.rows(key) if name.startswith(heading))
        return [float(data[0].of["value"]) if (data := self.all("data", cell)) else None for cell in cells]


@pytest.fixture(scope="module")
def page(record):
    return Reader(Html().render(record))


def test_the_figures_are_those_of_the_record(record, page, tmp_path):
    record.write(tmp_path / "record.json")
    saved = Record.read(tmp_path / "record.json")
    shown = {name: page.row("values", name)[:2] for name in saved.final}
    assert shown == {name: [saved.baseline[name].value, saved.final[name].value] for name in saved.final}
    assert [cells[1].text.strip() for _, cells in page.rows("budgets")] == ["0.8750", "0.7700"]
    assert [page.row("budgets", entry.metric)[1] for entry in saved.budget] == [entry.value for entry in saved.budget]
    assert [page.row("steps", str(step.index + 1))[1] for step in saved.steps] == [step.seconds for step in saved.steps]


def test_how_and_unit_stand_beside_every_value(record, page):
    text = page.section("values").text
    assert all(found.how in text and found.unit in text for found in record.final.values())


def test_budgets_are_told_in_words(page):
    assert [cells[-1].text.strip() for _, cells in page.rows("budgets")] == ["NO", "yes"]
    assert "1 of 2 budget(s) missed: accuracy is 0.8750, limit drop_at_most 0.01." in page.section("budgets").text


def test_the_three_sizes_stand_together_with_the_honest_sentence(page):
    assert page.row("sizes", "nominal") == [400, 130, 0.325]
    assert page.row("sizes", "physical: parameters") == [400, 400, 1.0]
    assert page.row("sizes", "measured") == [1.0, 1.0, 1.0]
    text = page.section("sizes").text
    assert "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster." in text
    assert "0.96 to 1.04 in 2 pairs" in text


def test_each_layer_has_weights_density_activity_operations_and_energy(page):
    # two samples: fc keeps 20 of 200 weights, 132 of 800 inputs are spikes, fan-out 1320 / 2, pairs 20 * 6 / 2
    assert page.row("layers", "block.fc") == [20, 0.1, 0.165, 4000, 660, 60, 0.75]
    assert page.row("layers", "stem.conv") == [50, 1.0, 0.6, 2000, None, 1200, None]
    assert page.row("layers", "block.attention") == [None, None, None, 1000, None, 80, 0.25]
    text = page.section("layers").text
    for told in ("60 synops", "was 600", "1.20 k MACs", "80 attention", "was 100 %", "conv2d, real numbers"):
        assert told in text


def test_the_longest_bar_is_the_layer_with_most_operations(page):
    def bars(heading):
        cells = next(cells for name, cells in page.rows("layers") if name.startswith(heading))
        return [node.of["style"] for node in page.all("i", cells[5])]

    assert bars("stem.conv") == ["width:100%", "width:100%"]
    assert bars("block.fc") == ["width:50%", "width:5%"]  # 600 before and 60 after, of 1200


def test_silence_is_told_layer_by_layer(page):
    text = page.section("activity").text
    assert "The activity collapses first in 'block.lif': its firing rate falls from 25.0 % to 0 %." in text
    assert "18 of 40 neurons (45.0 %) never fire on the test split; 2 (5.0 %) fire at every step" in text
    assert page.row("activity", "block.lif") == [0.0, 20, 17, 0]


def test_the_heat_map_has_a_cell_for_each_layer_and_step(page):
    tables = [table for table in page.all("table", page.section("activity")) if table.of["class"] == "heat"]
    cells = [[float(data.of["value"]) for data in page.all("data", table)] for table in tables]
    assert cells == [[0.2, 0.25, 0.3, 0.35, 0, 0, 0, 0], [0.2, 0.25, 0.3, 0.35, 0.25, 0.25, 0.25, 0.25]]
    hottest = [cell.of["style"] for cell in page.all("td", tables[0])][3]
    assert hottest == "--heat:100%"


def test_every_layer_with_a_raster_has_a_picture_told_in_words(page):
    told = [node.of.get("aria-label") for node in page.all("div", page.section("activity"))]
    assert "Raster of stem.lif: 6 spikes of 3 neurons in 4 time steps." in told
    assert "Raster of block.lif: 1 spikes of 1 neurons in 4 time steps." in told


def test_accuracy_is_shown_for_every_number_of_steps(page):
    assert [page.row("timesteps", str(step)) for step in (1, 2, 3, 4)] == [
        [0.5, 0.25],
        [0.75, 0.5],
        [0.875, 0.75],
        [0.9375, 0.875],
    ]


def test_energy_models_stand_side_by_side_with_scope_and_source(page):
    assert page.row("energy", "plain") == [0.002, 0.001, 0.5]
    assert page.row("energy", "other") == [0.004, 0.005, 1.25]
    text = page.section("energy").text
    assert "The models disagree on the energy of the final network: plain says less; other says more." in text
    assert "compute only. Source: a paper on other." in text


def test_what_spikes_do_not_trigger_is_listed_with_its_share(page):
    # dense products: 4000 + 8000 + 2000 + 500 = 14500; other elements: 400 + 400 + 100 + 300 = 1200
    assert page.row("events", "stem.conv") == [None, None, 2000, pytest.approx(4000 / 14500)]
    assert page.row("events", "head") == [None, None, 250, pytest.approx(500 / 14500)]
    assert page.row("events", "block.softmax") == [None, None, 150, pytest.approx(300 / 1200)]
    assert page.row("events", "stem.pool") == [None, None, 50, pytest.approx(100 / 1200)]
    assert [name for name, _ in page.rows("events")] == ["stem.conv", "head", "stem.pool", "block.softmax"]


def test_training_is_shown_as_curves_and_numbers(page):
    pictures = [node.of["aria-label"] for node in page.all("div", page.section("training")) if "aria-label" in node.of]
    assert "Training loss over 2 epochs of 1 training(s): from 2.250 to 1.125." in pictures
    assert page.row("training", "1. train, train") == [None, 1.125, 0.625]


def test_what_training_did_to_neurons_is_shown(change, record):
    before, after = {"min": 1.0, "median": 1.0, "max": 1.0}, {"min": 0.5, "median": 1.25, "max": 2.0}
    rows = [{"layer": "stem.lif", "value": "threshold", "before": before, "after": after}]
    training = {"finetune": {"epochs": [], "seconds": 1.0, "neurons": rows}}
    step = record.steps[0].model_copy(update={"use": "neurons.substitute", "notes": {"training": training}})
    changed = change(steps=(step,))
    page = Html().render(changed).replace("<wbr>", "")
    for text in ("1. neurons.substitute, finetune", "1.0000 / 1.0000 / 1.0000", "0.5000 / 1.2500 / 2.0000"):
        assert text in page
    told = "thresholds lay between 1.0000 and 1.0000 before training and between 0.5000 and 2.0000 behind it."
    assert told in page
    assert told in " ".join(Text().render(changed).split())


def test_what_a_plugin_notes_under_the_name_of_neurons_is_left_alone(change, record):
    rows = [{"layer": "stem.lif", "value": "threshold", "before": {}, "after": {"min": "low"}}]
    training = {"finetune": {"epochs": [], "seconds": 1.0, "neurons": rows}}
    changed = change(steps=(record.steps[0].model_copy(update={"notes": {"training": training}}),))
    assert "Trained neurons" not in Html().render(changed)


def test_provenance_names_versions_keys_the_seed_and_the_command(page):
    text = page.section("provenance").text
    for told in (
        "versions: torch",
        "2.6.0",
        "aaaa",
        "bbbb",
        "seed: 3",
        "snncompress run pipeline.yaml",
        "embed_dims: 32",
    ):
        assert told in text


def test_a_network_in_hand_has_no_command(change):
    in_hand = {"model": {"use": "python", "values": "abc"}, "data": {"use": "python", "batches": [1, 1, 1]}, "seed": 0}
    text = Reader(Html().render(change(pipeline=in_hand))).section("provenance").text
    assert "snncompress run" not in text
    assert "call snncompress.compress with it" in text


def test_what_changes_the_result_stands_in_the_command(change, record):
    pipeline = {**record.pipeline, "model": {"use": "python", "function": "net:make"}}
    environment = {**record.environment, "device": "cuda"}
    text = Reader(Html().render(change(pipeline=pipeline, environment=environment))).section("provenance").text
    assert "snncompress run pipeline.yaml --allow-code --device cuda" in text


def test_what_was_not_measured_is_said_where_it_would_stand(change):
    page = Reader(Html().render(change(baseline={}, final={}, budget=())))
    asked = {
        key: [node.text for node in page.all("code", page.section(key))]
        for key in ("sizes", "layers", "activity", "timesteps", "energy", "events")
    }
    assert asked == {
        "sizes": ["parameters", "measure:", "size", "measure:", "latency", "measure:"],
        "layers": ["synops", "measure:"],
        "activity": ["spikes", "measure:"],
        "timesteps": ["accuracy", "measure:"],
        "energy": ["energy", "measure:"],
        "events": ["synops", "measure:"],
    }


def test_a_network_without_baseline_or_neurons_is_shown(change, record):
    silent = Activity(samples=2, timesteps=4, layers=())
    final = {
        **record.final,
        "firing_rate": Measurement(value=None, unit="1", how="", detail=silent.model_dump(mode="json")),
    }
    page = Reader(Html().render(change(baseline={}, final=final, steps=())))
    assert "This network has no neurons that fire." in page.section("activity").text
    assert page.row("layers", "block.fc")[:2] == [20, 0.1]
    assert "not in the baseline" not in page.section("layers").text


def test_layers_that_only_one_network_has_are_named(change, record):
    detail = record.final["synops"].detail
    renamed = {
        **detail,
        "rows": [{**row, "path": row["path"].replace("block.fc", "block.low")} for row in detail["rows"]],
    }
    final = {**record.final, "synops": record.final["synops"].model_copy(update={"detail": renamed})}
    page = Reader(Html().render(change(final=final)))
    told = {name.split()[0]: name for name, _ in page.rows("layers")}
    assert "not in the baseline" in told["block.low"]
    assert "gone from the final network" in told["block.fc"]


@pytest.mark.parametrize(
    "training", [None, "long", [1, 2], {"all": "long"}, {"all": {"epochs": 3}}, {"all": {"epochs": [{"loss": "low"}]}}]
)
def test_notes_of_another_form_are_no_training(change, record, training):
    step = record.steps[0].model_copy(update={"notes": {"training": training, "rounds": [{}], "empty": []}})
    page = Reader(Html().render(change(steps=(step,))))
    assert [node.of["id"] for node in page.all("section")][-2:] == ["events", "provenance"]


def test_texts_of_the_record_are_never_markup(change, record):
    def poisoned(value):
        if isinstance(value, dict):
            return {HOSTILE + name: poisoned(inner) for name, inner in value.items()}
        return [poisoned(inner) for inner in value] if isinstance(value, list) else HOSTILE

    steps = tuple(
        step.model_copy(update={"use": HOSTILE, "key": HOSTILE, "path": HOSTILE, "notes": {HOSTILE: [{HOSTILE: HOSTILE}], "training": {HOSTILE: step.notes.get("training", {}).get("train", {})}}})
        for step in record.steps
    )  # fmt: skip
    values = {
        name: found.model_copy(update={"how": HOSTILE, "unit": HOSTILE}) for name, found in record.final.items()
    } | {HOSTILE: Measurement(value=1, unit=HOSTILE, how=HOSTILE)}
    poison = {
        "name": HOSTILE,
        "artifact": HOSTILE,
        "pipeline": poisoned(record.pipeline),
        "environment": poisoned(record.environment),
    }
    clean = Reader(Html().render(change()))
    page = Reader(Html().render(change(**poison, steps=steps, final=values)))
    assert page.all("h1")[0].text == HOSTILE
    assert len(page.all("script")) == len(clean.all("script")) == 1
    assert page.all("img") == []
    assert not [name for node in page.found for name in node.of if name.startswith("on")]


def test_the_page_refers_to_nothing_outside_itself(record):
    text = Html().render(record)
    page = Reader(text)
    names = {node.of["id"] for node in page.found if "id" in node.of}
    references = {
        node.of[name] for node in page.found for name in ("href", "src", "srcset", "action") if name in node.of
    }
    assert references <= {f"#{name}" for name in names} | {"data:,"}
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in names}
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")
    policy = next(node.of["content"] for node in page.all("meta") if "http-equiv" in node.of)
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_without_looking(page):
    assert page.all("html")[0].of["lang"] == "en"
    assert len(page.all("h1")) == 1
    names = [node.of["id"] for node in page.found if "id" in node.of]
    assert len(names) == len(set(names))
    assert all(page.all("h2", section) for section in page.all("section"))
    assert all(node.of.get("aria-labelledby") in names for node in page.all("section"))
    for table in page.all("table"):
        assert page.all("caption", table)[0].text
        assert all(node.of["scope"] in ("col", "row") for node in page.all("th", table))
    pictures = [node.parents[-1].of for node in page.all("svg")]
    assert pictures
    assert all(of["role"] == "img" and of["aria-label"] for of in pictures)
    headings = [int(node.tag[1]) for node in page.found if re.fullmatch(r"h[1-6]", node.tag)]
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_the_same_record_gives_the_same_bytes(record):
    assert Html().render(record) == Html().render(record)


def test_a_large_network_stays_below_three_megabytes(change, record):
    def layer(number):
        shared = {"kind": "LIFNode", "neurons": 4096, "outputs": (40960,) * 64, "dead": 0, "saturated": 0}
        return LayerActivity(path=f"blocks.{number}.mlp.lif", spikes=(4096,) * 64, raster=("10" * 32,) * 48, **shared)

    activity = Activity(samples=10, timesteps=64, layers=tuple(layer(number) for number in range(60)))
    rows = [row for number in range(20) for row in _renamed(record.final["synops"].detail["rows"], f"blocks.{number}.")]
    values = {
        "firing_rate": Measurement(value=0.1, unit="1", how="", detail=activity.model_dump(mode="json")),
        "synops": record.final["synops"].model_copy(update={"detail": {"samples": 2, "timesteps": 4, "rows": rows}}),
    }
    text = Html().render(change(baseline=values, final=values))
    page = Reader(text)
    assert len(text.encode()) < 3_000_000
    assert len(page.rows("layers")) == 20 * 4
    heat = next(table for table in page.all("table", page.section("activity")) if table.of["class"] == "heat")
    assert page.all("caption", heat)[0].text.endswith("(mean over 2 steps in a column)")
    assert len(page.all("th", page.all("thead", heat)[0])) == 1 + 32


def _renamed(rows, prefix):
    return [{**row, "path": prefix + row["path"]} for row in rows]


def test_a_summary_links_to_the_report_of_each_seed(summary):
    page = Reader(Html().render_summary(summary))
    links = [node.of["href"] for node in page.all("a", page.section("runs"))]
    assert [unquote(link) for link in links] == ["./seed-0/report.html", "./seed 1/report.html"]
    assert " " not in "".join(links)
    assert page.row("values", "accuracy")[:2] == [0.8125, 0.625]
    assert page.row("runs", "accuracy") == [0.5, 0.75]
    assert "0.6250 ± 0.1768 (n=2)" in page.section("values").text
    assert "snncompress run pipeline.yaml" in page.section("provenance").text


def test_a_folder_that_looks_like_a_protocol_is_a_folder(summary):
    page = Reader(Html().render_summary(summary.model_copy(update={"runs": ("javascript:alert(1)", "//host")})))
    links = [node.of["href"] for node in page.all("a", page.section("runs"))]
    assert all(link.startswith("./") for link in links)


def test_a_comparison_shows_verdicts_front_and_ranking(comparison):
    page = Reader(Html().render_comparison(comparison))
    assert page.row("table", "three quarters") == [None, 0.875, 1250.0]
    cells = next(cells for name, cells in page.rows("table") if name.startswith("nearly all"))
    assert "worse" in cells[1].text
    assert cells[1].of["class"] == "number bad"
    assert [cells[-1].text.strip() for _, cells in page.rows("front")] == ["yes", "yes", "no"]
    told = [node.of["aria-label"] for node in page.all("div", page.section("front")) if node.of.get("role") == "img"]
    assert "nearly all: accuracy 0.3125 ± 0.0884 (n=2), synops 1,500 ± 353.55 (n=2)" in told[0]
    assert "no difference seen" in page.section("verdicts").text
    assert "-15.6 test samples, -3.12 points" in page.section("verdicts").text
    assert "NO" in page.section("energy").text
    assert "broken failed: the loss is nan" in page.all("header")[0].text


def test_a_network_at_chance_says_so_beside_its_name(comparison):
    page = Reader(Html().render_comparison(comparison.model_copy(update={"at_chance": {"nearly all": (0,)}})))
    shown = {name.split()[0]: "at chance" in name for name, _ in page.rows("table")}
    assert shown == {"dense": False, "three": False, "nearly": True, "broken": False}


def test_names_may_break_within_a_path_but_not_within_a_number(comparison):
    entry = comparison.entries[0].model_copy(update={"name": "blocks.0.mlp_in=0.75"})
    text = Html().render_comparison(comparison.model_copy(update={"entries": (entry,), "front": (), "verdicts": ()}))
    assert "blocks.<wbr>0.<wbr>mlp_<wbr>in=0.75" in text


def test_a_comparison_without_cost_or_verdicts_is_shown(comparison):
    bare = comparison.model_copy(update={"quality": None, "cost": None, "verdicts": (), "energy": (), "front": ()})
    page = Reader(Html().render_comparison(bare))
    assert [node.of["id"] for node in page.all("section")] == ["table"]
