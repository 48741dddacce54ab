"""Encodes a comparison as a page: one self-contained HTML file that shows both sides."""

from __future__ import annotations

from collections.abc import Iterator

from memdeep.analysis.compare.lines import match_lines
from memdeep.analysis.compare.stacks import merged
from memdeep.model.comparison import Comparison
from memdeep.report.comparison import page_payload, page_view
from memdeep.report.comparison.page_rows import folded_rows
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.report.page import html
from memdeep.text.language import COMPARISON_GROUPS, chosen

TEMPLATE = "compare.html.j2"


def encode(comparison: Comparison, options: ReportOptions = DEFAULTS) -> Iterator[bytes]:
    """Return the page of ``comparison``, as UTF-8 in one piece."""
    lines = match_lines(comparison.before.report, comparison.after.report)
    folded = folded_rows(comparison.phases)
    with_source = options.source is not False  # lines were found again by their texts all the same
    stacks = merged(comparison, lines)
    blocks = page_payload.encode(comparison, stacks, folded, with_source=with_source)
    languages = chosen(options.lang)
    shown = page_view.view(comparison, folded, blocks, languages)
    if not with_source:
        shown = page_view.without_source(shown)
    return iter([html.render(shown, languages, options.cache, TEMPLATE, COMPARISON_GROUPS)])
