"""Words the rows and the workers of a cluster for a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence

from memdeep.integrations.clusters import ClusterWorker
from memdeep.objects.across import Row
from memdeep.objects.stacks import Line
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.text.safe import plain

MOST = 20  # rows, and workers


def lines(rows: Sequence[Row], workers: Sequence[ClusterWorker], language: Language) -> list[str]:
    """Return the lines of a summary: what retained most, the rows, the workers by their peaks."""
    found = []
    most = [(row, row.lines[0]) for row in rows if row.lines]
    if most:
        row, line = max(most, key=lambda one: _in_use(one[1]))
        found.append(
            language.say(
                "cluster.most",
                kept_bytes=_in_use(line),
                line=_place(line),
                path=plain(row.path),
                n=len(row.tasks),
            )
        )
    for row in rows[:MOST]:
        found.append(
            language.say(
                "cluster.row",
                kept=f"{units.size(row.retained):>9}",
                used=f"{units.size(row.resident):>9}",
                peak=f"{units.size(row.peak):>9}",
                tasks=f"{row.count:>6,}",
                workers=f"{len(row.tasks):>3,}",
                path=plain(row.path),
                line=_place(row.lines[0]) if row.lines else "",
            ).rstrip()
        )
    if len(rows) > MOST:
        found.append(language.say("cluster.more_rows", n=len(rows) - MOST))
    for worker in sorted(workers, key=lambda one: -(one.peak_rss or 0))[:MOST]:
        share = None
        if worker.limit and worker.peak_rss is not None:
            share = worker.peak_rss / worker.limit
        found.append(
            language.say(
                "cluster.worker",
                peak=f"{units.size(worker.peak_rss):>9}",
                limit=f"{units.size(worker.limit):>9}",
                of_limit=f"{units.percent(share):>6}",
                name=plain(worker.name),
                end=language.say(f"cluster.end_{worker.end}"),
            )
        )
    if len(workers) > MOST:
        found.append(language.say("cluster.more_workers", n=len(workers) - MOST))
    return found


def _in_use(line: Line) -> int:
    """Return the bytes in use, or those that may be."""
    return line.bytes if line.resident_bytes is None else line.resident_bytes


def _place(line: Line) -> str:
    name = plain(os.path.basename(line.filename or "") or line.function)
    return name if line.lineno is None else f"{name}:{line.lineno}"
