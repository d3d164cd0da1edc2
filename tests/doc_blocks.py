"""The fenced blocks of the documentation, and the files that they name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^(?P<mark><!-- run -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w.]+)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block: its page, its language, its text, the file it names, and whether it is to be run."""

    page: Path
    line: int
    language: str
    text: str
    file: str | None
    runs: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        name = FILE.match(found["text"])
        line = text.count("\n", 0, found.start()) + 1
        file = name[1] if name else None
        yield Block(page, line, found["language"], found["text"], file, bool(found["mark"]))


def named(page: Path) -> dict[str, str]:
    return {block.file: block.text for block in blocks_of(page) if block.file}
