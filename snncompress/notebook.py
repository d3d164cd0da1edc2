"""How records look in a notebook: the page of the reporter ``html``, in a frame of its own."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

_REPORTER = "html"
_FRAME = (
    '<iframe title="snncompress report" sandbox="allow-scripts" srcdoc="{page}" '
    'style="width: 100%; height: 40rem; border: 0"></iframe>'
)


def framed(found: Any, method: Literal["render", "render_summary", "render_comparison"]) -> str | None:
    """Return what a notebook shows, None where no reporter renders ``found``.

    The frame keeps the page's style from the notebook's, and the notebook's from the page.
    """
    from snncompress.plugins import Host

    reporter = Host.from_environment().catalogue["reporters"].get(_REPORTER)
    render = None if reporter is None else getattr(reporter(), method, None)
    return None if render is None else _FRAME.format(page=escape(render(found)))
