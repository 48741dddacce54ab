"""Figures of Python's own tracing (`tracemalloc`) as a few lines of text."""

from __future__ import annotations

import os
import tracemalloc

from memdeep.monitoring.log_format import one_line, size

MAX_LINES = 3

# Not what tracing itself and this package hold.
_OWN = (tracemalloc.__file__, os.path.join(os.path.dirname(os.path.abspath(__file__)), "*"))

_WORDS = {
    "zh": {
        "figures": "[{label}] 当前={current} 峰值={peak} (tracemalloc)",
        "began": "  从这里开始跟踪，之前的分配不计入",
        "blocks": "{count} 块",
    },
    "en": {
        "figures": "[{label}] current={current} peak={peak} (tracemalloc)",
        "began": "  Tracing begins here; what was allocated before does not count.",
        "blocks": "{count} blocks",
    },
}


def describe(label: str, lang: str) -> str:
    """Return the traced memory now and at its peak in MB, and the three lines that hold most.

    Starts tracing if it is not on. The text ends with a line end.
    """
    words = _WORDS[lang]
    began = not tracemalloc.is_tracing()
    if began:
        tracemalloc.start()
    current_bytes, peak_bytes = tracemalloc.get_traced_memory()
    figures = {"current": size(current_bytes), "peak": size(peak_bytes)}
    lines = [words["figures"].format(label=one_line(label), **figures)]
    if began:
        lines.append(words["began"])
    else:
        lines += _largest(words)
    return "\n".join(lines) + "\n"


def _largest(words: dict[str, str]) -> list[str]:
    filters = [tracemalloc.Filter(False, name) for name in _OWN]
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    lines = []
    for rank, statistic in enumerate(snapshot.statistics("lineno")[:MAX_LINES], 1):
        frame = statistic.traceback[0]
        blocks = words["blocks"].format(count=f"{statistic.count:,}")
        where = f"{one_line(frame.filename)}:{frame.lineno}"
        lines.append(f"  {rank}. {size(statistic.size):>10}  {where} ({blocks})")
    return lines
