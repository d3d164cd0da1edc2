"""The documentation is true: every pipeline in it is valid, every name is described, every link leads somewhere."""

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from doc_blocks import DOCS, ROOT, blocks_of, named

from snncompress import Host, hookspecs
from snncompress.cli.program import VERBS
from snncompress.pipeline import Budget, Pipeline, load_pipeline, recipes

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
GENERATE = runpy.run_path(str(DOCS / "generate_reference.py"))

SECTIONS = {
    "version": "version: 1",
    "name": "name: snippet",
    "model": "model: snntorch.convnet",
    "data": "data: digits",
    "steps": "steps: [{use: train, epochs: 1}]",
    "measure": "measure: [accuracy, parameters, sparsity, size, spikes]",
}
"""What a snippet that shows only some sections of a pipeline is completed with."""


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PIPELINES = [block for block in BLOCKS if block.language == "yaml"]
RUN = sorted({block.page for block in BLOCKS if block.runs})


def completed(snippet: str) -> str:
    """Return a whole pipeline: the snippet, and the sections that it leaves out."""
    shown = set(re.findall(r"^(\w+):", snippet, re.MULTILINE))
    return snippet + "".join(f"{text}\n" for name, text in SECTIONS.items() if name not in shown)


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture(scope="session")
def host_of_the_guide(tmp_path_factory):
    """A host that knows the plugins of the guide on plugins too."""
    folder, found = tmp_path_factory.mktemp("plugins"), Host.from_environment()
    for name, text in named(DOCS / "guides" / "plugins.md").items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("noisy_weights", "my_plugin"):
        known = runpy.run_path(str(folder / f"{name}.py"))
        found.register(type("Plugin", (), dict(_hooks(known))), name=f"guide-{name}")
    assert found.faults == []
    return found


def _hooks(known):
    return ((key, staticmethod(value)) for key, value in known.items() if key.startswith("snncompress_"))


# ---- pipelines


@pytest.mark.parametrize("block", PIPELINES, ids=str)
def test_every_pipeline_is_valid(block, host, host_of_the_guide, tmp_path):
    file = tmp_path / "snippet.yaml"
    file.write_text(completed(block.text), encoding="utf-8")
    known = host_of_the_guide if block.page.name == "plugins.md" else host
    assert load_pipeline(str(file), known).pipeline.version == 1


@pytest.mark.parametrize("page", ["tutorial.md", "reference/pipeline.md"])
def test_the_recipe_is_shown_as_it_is(page, host):
    shown = next(block for block in blocks_of(DOCS / page) if block.text.startswith("version: 1\nname: digits-lottery"))
    shipped = recipes(host)["digits-lottery"].read_text(encoding="utf-8")
    assert yaml.safe_load(shown.text) == yaml.safe_load(shipped)


# ---- code


RUNNER = """\
import json, runpy, sys
from snncompress.cli import main

for program, *arguments in json.load(sys.stdin):
    print("$", program, *arguments, flush=True)
    if program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    elif main.main(arguments, standalone_mode=False):
        sys.exit(f"{program} failed")
"""
"""Runs the lines of a page one after another in one process, for the imports take longer than the rest."""


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_what_a_guide_runs_does_run(page, tmp_path):
    for name, text in named(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    lines = [line.split() for block in blocks_of(page) if block.runs for line in block.text.splitlines()]
    assert {line[0] for line in lines} <= {"python", "snncompress"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(lines),
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SNNCOMPRESS_STRICT_PLUGINS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


GIVEN = re.compile(r"(?:--set|--over)[ =]([^\s'\"`]*)")
"""What follows an option up to the next space or quote: of a value in quotes, nothing."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_values_that_a_shell_would_expand_are_in_quotes(page):
    """Unquoted brackets and braces are patterns of file names to zsh, which then runs nothing."""
    given = GIVEN.findall(page.read_text(encoding="utf-8"))
    assert [text for text in given if set(text) & set("[]{}*?!")] == []


def test_the_strategy_of_the_guide_is_the_tested_plugin():
    shown = named(DOCS / "guides" / "plugins.md")
    published = ROOT / "tests" / "third_party" / "good"
    for name in ("noisy_weights.py", "pyproject.toml"):
        text = shown[name].split("\n", 1)[1]
        assert text == (published / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_code_is_code(block):
    compile(block.text, str(block), "exec")


# ---- the reference


@pytest.mark.parametrize("name", ["strategies.md", "components.md"])
def test_generated_pages_are_up_to_date(name, host):
    assert GENERATE["pages"](host)[name] == (DOCS / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_the_help_of_every_verb_is_shown(verb):
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.split(f"\n## `{f'snncompress {verb}'.rstrip()}`\n", 1)[1].split("\n## ", 1)[0]
    assert "".join(GENERATE["help_of"](verb).split()) in "".join(section.split())  # click wraps differently by version


DOCUMENTED = {"strategies": ("strategies.md", "##"), **dict.fromkeys(GENERATE["KINDS"], ("components.md", "###"))}


@pytest.mark.parametrize("kind", sorted(DOCUMENTED))
def test_everything_that_a_pipeline_can_name_is_documented(kind, host):
    page, level = DOCUMENTED[kind]
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    if level == "###":
        text = text.split(f"\n## {GENERATE['KINDS'][kind][0]}\n", 1)[1].split("\n## ", 1)[0]
    own = [use for use in host.catalogue[kind] if host.owner(kind, use).distribution == "snncompress"]
    assert own
    assert [use for use in own if f"\n{level} `{use}`\n" not in text] == []


def test_every_kind_of_component_has_a_page():
    elsewhere = {
        "anatomies",
        "backends",
        "modules",
        "neurons",
        "zoos",
    }  # named by no section; hooks and guides describe them
    assert set(hookspecs.REGISTRATION) - elsewhere == set(DOCUMENTED)


def test_every_section_of_a_pipeline_and_every_limit_is_documented():
    text = (DOCS / "reference" / "pipeline.md").read_text(encoding="utf-8")
    assert [name for name in Pipeline.model_fields if f"\n## `{name}`\n" not in text] == []
    assert [name for name in Budget.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize("variable", ["SNNCOMPRESS_PLUGINS", "SNNCOMPRESS_STRICT_PLUGINS", "SNNCOMPRESS_TRACEBACK"])
def test_every_switch_is_documented(variable):
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "snncompress").rglob("*.py"))
    assert any(f'"{variable}"' in source for source in sources)
    assert variable in (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")


def test_no_other_switch_exists():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "snncompress").rglob("*.py")]
    found = {name for source in sources for name in re.findall(r'"(SNNCOMPRESS_\w+)"', source)}
    assert found == {"SNNCOMPRESS_PLUGINS", "SNNCOMPRESS_STRICT_PLUGINS", "SNNCOMPRESS_TRACEBACK"}


# ---- numbers


def test_the_counts_of_a_lottery_are_right():
    rows = re.findall(
        r"^\| (\d+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|$",
        (DOCS / "guides" / "lottery-tickets.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert [int(row[0]) for row in rows] == list(range(1, 11))
    # 9 w + 72 w + 288 w ... of the stem, 4 D^2 + 8 D^2 of each block, 10 D of the head, for D = 64
    weights = 9 * (1 * 8 + 8 * 16 + 16 * 32 + 32 * 64 + 64 * 64) + 2 * 12 * 64 * 64 + 10 * 64
    norms = 2 * (8 + 16 + 32 + 64 + 64) + 2 * 2 * (192 + 64 + 256 + 64)
    parameters = weights + norms + 10
    left = weights
    for _, remaining, sparsity, zeros in rows:
        left -= round(left / 4)
        assert int(remaining.replace(",", "")) == left
        assert float(sparsity) == round(100 * (1 - left / weights), 2)
        assert float(zeros) == round(100 * (weights - left) / parameters, 2)
    assert (weights, parameters) == (160072, 162754)


# ---- links


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(
        r"^#+ (.+)$",
        re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE),
        re.MULTILINE,
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = list(links_of(page))
    assert [str(path) for path, _ in links if not path.exists()] == []
    assert [f"{path.name}#{anchor}" for path, anchor in links if anchor and anchor not in anchors_of(path)] == []


def test_every_page_is_reachable_from_the_index():
    reached, open_pages = set(), [DOCS / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            open_pages += [path for path, _ in links_of(page)]
    assert set(DOCS.rglob("*.md")) <= reached


# ---- the files beside


def test_the_citation_and_the_changelog_know_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    found = [one["url"].rpartition("/")[2] for one in citation["references"]]
    assert found == ["2508.01992", "2311.08806", "2210.01208"]
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
