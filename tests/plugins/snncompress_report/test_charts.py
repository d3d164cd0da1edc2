import re
from xml.etree import ElementTree as ET

from snncompress_report.charts import Point, Series, lines, scatter

SVG = "{http://www.w3.org/2000/svg}"
TWO = (Series("first", (1, 2, 3), (0.5, 0.25, 0.125)), Series("second", (1, 2, 3), (1.0, 1.0, 1.0)))


def tree(text):
    """Parse SVG that stands in HTML, where it needs no name space of its own."""
    return ET.fromstring(text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))  # noqa: S314 - our own chart


def texts(svg):
    return ["".join(node.itertext()) for node in tree(svg).iter(f"{SVG}text")]


def test_labels_and_legend_are_text():
    found = texts(lines(TWO, x_label="time steps", y_label="accuracy"))
    assert {"time steps", "accuracy", "first", "second"} <= set(found)


def test_a_single_line_has_no_legend():
    assert "first" not in texts(lines(TWO[:1], x_label="x", y_label="y"))


def test_text_is_not_read_as_mathematics_or_markup():
    label = "a_$b$ <script>alert(1)</script> & $"
    found = texts(lines((Series(label, (1, 2), (1, 2)), TWO[0]), x_label="x", y_label="y"))
    assert label in found


def test_everything_but_the_lines_has_the_colour_of_the_page():
    svg = lines(TWO, x_label="x", y_label="y")
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert colours == {"#3b82f6", "#d9730d"}
    assert "currentColor" in svg


def test_a_value_that_is_missing_interrupts_the_line():
    gap = Series("one", (1, 2, 3, 4, 5), (1.0, 2.0, float("nan"), 2.0, 1.0))
    whole = Series("one", (1, 2, 4, 5), (1.0, 2.0, 2.0, 1.0))

    def beginnings(series):
        drawn = [node.get("d") for node in tree(lines([series], x_label="x", y_label="y")).iter(f"{SVG}path")]
        return max(path.count("M") for path in drawn if path.count("L") > 1)

    assert (beginnings(gap), beginnings(whole)) == (2, 1)


def test_the_same_chart_has_the_same_bytes_and_two_charts_share_no_name():
    first, again = (lines(TWO, x_label="x", y_label="y") for _ in range(2))
    other = lines(TWO, x_label="x", y_label="z")
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, other)]
    assert first == again
    assert names[0]
    assert not names[0] & names[1]


def test_every_reference_of_a_chart_is_to_itself():
    svg = lines(TWO, x_label="x", y_label="y")
    names = set(re.findall(r'\bid="([^"]+)"', svg))
    references = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
    assert references
    assert references <= names
    assert "http" not in svg


def test_a_trade_off_names_every_run_and_draws_runs_without_spread():
    points = [Point("dense", 10.0, 0.9, 1.0, 0.01, on_front=True), Point("sparse", 1.0, 0.8, 0.0, 0.0, on_front=False)]
    assert {"dense", "sparse", "synops"} <= set(texts(scatter(points, x_label="synops", y_label="accuracy")))


def test_a_trade_off_without_runs_is_an_empty_chart():
    assert texts(scatter([], x_label="synops", y_label="accuracy")).count("synops") == 1
