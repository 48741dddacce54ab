"""Encodes the page that shows a run while it goes on: it asks where it comes from for figures."""

from __future__ import annotations

from collections.abc import Mapping

from memdeep.frozen import field, frozen
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.report.page import html
from memdeep.text.language import LIVE_GROUPS, chosen
from memdeep.version import __version__

TEMPLATE = "live.html.j2"


@frozen
class _LivePage:
    """What the page shows before it has asked for anything."""

    program: str
    title: str
    version: str = __version__
    blocks: Mapping[str, str] = field(default_factory=dict)


def encode(program: str, options: ReportOptions = DEFAULTS) -> bytes:
    """Return the page of a run of ``program``, as UTF-8."""
    page = _LivePage(program, f"{program} – memdeep")
    return html.render(page, chosen(options.lang), options.cache, TEMPLATE, LIVE_GROUPS)
