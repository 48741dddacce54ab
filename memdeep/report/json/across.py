"""Encodes the rows over all processes: phases of kind "pattern", of no single process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memdeep.analysis.culprits import MAX_CULPRITS
from memdeep.model import Across, LineAcross, Report
from memdeep.report.json.phases import Phases
from memdeep.report.json.processes import Processes
from memdeep.report.json.records import Encoded, Json, encoded, listed, rounded
from memdeep.report.json.tables import Tables

Path = tuple[str, ...]

MAX_ROWS = 500
MAX_SHARES = 1000  # of a row
# What a row has none of: its members have no common moments, and no common program.
UNKNOWN = (
    *("start", "end", "process", "thread", "rss_start_bytes", "rss_end_bytes", "rss_delta_bytes"),
    *("rss_worst_bytes", "children_pss_delta_bytes", "heap_start_bytes", "heap_end_bytes"),
    *("peak_time_s", "kept_bytes", "parts", "explained_ratio", "named_ratio", "largest", "trend"),
)


class AcrossRows:
    """The rows that are listed; ``before`` phases come before them in the list."""

    def __init__(self, report: Report, before: int) -> None:
        self._report = report
        self._listed = _listed(report.across)
        self._places = {row.path: place for place, row in enumerate(self._listed, before)}

    @property
    def left_out(self) -> int:
        """The number of rows that are not listed."""
        return len(self._report.across) - len(self._listed)

    def place(self, path: Path) -> int | None:
        """Return the index in the list of the row of ``path``; None if it is not in it."""
        return self._places.get(path)

    def encoded(
        self, phases: Mapping[int, Phases], processes: Processes, tables: Tables
    ) -> Iterator[Json]:
        """Yield the fields of each row; ``phases`` are those of the processes that have any."""
        for row in self._listed:
            members = [
                place
                for process, phase in row.members
                if process in phases
                for place in phases[process].listed([phase])
            ]
            shares = [
                {
                    "process": processes.place(share.process),
                    "repeats": share.repeats,
                    "retained_bytes": share.retained_bytes,
                    "rise_bytes": share.rise_bytes,
                    "peak_bytes": share.peak_bytes,
                }
                for share in row.shares[:MAX_SHARES]
            ]
            culprits = [
                self._line(line, row, processes, tables) for line in row.lines[:MAX_CULPRITS]
            ]
            yield {
                "name": row.name,
                "kind": "pattern",
                "depth": len(row.path) - 1,
                "parent": self.place(row.path[:-1]),
                "members": members,
                "members_left_out": len(row.members) - len(members),
                "repeats": row.repeats,
                "overlaps": row.overlaps,
                "duration_s": rounded(row.duration_s),
                "complete": row.complete,
                **dict.fromkeys(UNKNOWN),
                **_figures(row),
                "culprits": listed(culprits),
                "peak_culprits": [],
                "freed_culprits": [],
                "culprit_totals": {
                    "culprits": len(row.lines),
                    "peak_culprits": None,
                    "freed_culprits": None,
                    "largest": None,
                },
                "workers": [],
                "shares": shares,
                "shares_left_out": len(row.shares) - len(shares),
            }

    def _line(self, line: LineAcross, row: Across, processes: Processes, tables: Tables) -> Encoded:
        frame = line.frame
        return encoded(
            {
                "filename": frame.filename or None,
                "lineno": frame.lineno or None,
                "function": frame.function,
                "source": self._report.source(frame),
                "bytes": line.bytes,
                "resident_bytes": line.resident_bytes,
                "allocations": line.allocations,
                "share": rounded(line.bytes / row.retained_bytes if row.retained_bytes else 0.0),
                "stack": tables.add(line.stack),
                "thread": line.thread,
                "process": processes.place(line.process),
                "holders": None,
            }
        )


def _figures(row: Across) -> Json:
    kept, delta, allocated = row.retained_bytes, row.delta_bytes, row.allocated_bytes
    return {
        "heap_delta_bytes": delta,
        "peak_heap_bytes": row.peak_bytes,
        "rise_bytes": row.rise_bytes,
        "retained_bytes": kept,
        "resident_bytes": row.resident_bytes,
        "released_bytes": None if kept is None or delta is None else kept - delta,
        "allocated_bytes": allocated,
        "freed_bytes": row.freed_bytes,
        "churn_bytes": None if kept is None or allocated is None else allocated - kept,
        "allocations": row.allocations,
    }


def _listed(rows: Sequence[Across]) -> Sequence[Across]:
    """Choose the rows with most bytes in use, and put each behind the one around it."""
    by_path = {row.path: row for row in rows}
    order: dict[Path, int] = {}
    for row in rows:
        if len(order) >= MAX_ROWS:
            break
        for path in _around(row.path):
            if path in by_path:
                order.setdefault(path, len(order))

    def nested(path: Path) -> list[int]:
        return [order[one] for one in _around(path) if one in order]

    return [by_path[path] for path in sorted(order, key=nested)]


def _around(path: Path) -> Iterator[Path]:
    """Yield the paths around ``path``, outermost first, and itself."""
    for end in range(1, len(path) + 1):
        yield path[:end]
