"""Components inside the settings of others are read and told wrong like those of a pipeline."""

from typing import Literal

import pytest

from snncompress import Settings, hookimpl, read_component
from snncompress.strategy import Problem


def test_a_name_and_a_mapping_are_read(host):
    plain, nothing = read_component("net", "architectures", host)
    assert (plain.use, plain.width, nothing) == ("net", 4, [])
    wide, nothing = read_component({"use": "net", "width": 9}, "architectures", host)
    assert (wide.width, nothing) == (9, [])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("nett", Problem(("use",), "unknown model 'nett'", "did you mean 'net'?")),
        ({"use": "net", "widht": 9}, Problem(("widht",), "unknown setting", "did you mean 'width'?")),
        ({"use": "net", "width": 0}, Problem(("width",), "should be at least 1, not 0")),
        (
            {"use": "net", "width": "9"},
            Problem(("width",), "should be a whole number, not '9'", "take the quotes away"),
        ),
        ({"width": 9}, Problem(("use",), "required setting is missing; it names the model", "known: file, net")),
        (3, Problem((), "should name the model or be a mapping with 'use', not 3", "known: file, net")),
        ({"use": "file"}, Problem(("folder",), "required setting is missing", "the folder")),
    ],
)
def test_what_is_wrong_is_told_relative_to_the_component(host, given, problem):
    found, problems = read_component(given, "architectures", host)
    assert found is None
    assert problems == [problem]


class Picky(Settings):
    """A metric that names an architecture."""

    use: Literal["picky"] = "picky"
    other: str = "net"

    def yields(self):
        return ("picky", f"picky_{self.other}")

    def problems(self, host):
        return [Problem(("other",), *problem) for problem in self._wrong(host)]

    def _wrong(self, host):
        return [(problem.what, problem.hint) for problem in read_component(self.other, "architectures", host)[1]]

    def measure(self, network, bench):
        raise AssertionError((network, bench))


class Plugin:
    @hookimpl
    def snncompress_metrics(self):
        return [Picky]


PIPELINE = """\
version: 1
name: digits
model: net
data: digits
steps: [{use: train, epochs: 2}]
measure: [accuracy, {use: picky, other: nett}]
budget: [{metric: picky_net, at_least: 1}]
report: [text]
"""


def test_a_metric_tells_what_is_wrong_inside_and_budgets_do_not_repeat_it(host, lines):
    host.register(Plugin(), name="picky")
    assert lines(PIPELINE) == ["p.yaml:6:34: measure.1.other: unknown model 'nett'; did you mean 'net'?"]
    assert lines(PIPELINE.replace("nett", "net")) == []
