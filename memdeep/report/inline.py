"""Shows a page within another one, as in the output of a notebook's cell."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import quote

MOST_BYTES = 1 << 20  # what a notebook's server lets through in a second, and what one can carry
HEIGHT_PX = 640


def shown(page: Path) -> str:
    """Return HTML that has the page in it, or a link where it is too large for that.

    The page may run its scripts, and reach nothing of what is around it.
    """
    content = html.escape(page.read_text("utf-8"))
    if len(content) > MOST_BYTES:
        name = html.escape(str(page))
        return f'<a href="{quote(str(page))}" target="_blank">{name}</a>'
    style = f"width: 100%; height: {HEIGHT_PX}px; border: 0"
    return f'<iframe srcdoc="{content}" sandbox="allow-scripts" style="{style}"></iframe>'
