"""Encodes the lines that hold memory, each with the index of its stack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from memdeep.model import Culprit, Frame, Report
from memdeep.report.json.holders import Snapshots
from memdeep.report.json.processes import Alone, Processes
from memdeep.report.json.records import NULL, Encoded, encoded, listed, rounded
from memdeep.report.json.tables import Tables, TreeStacks


class Culprits:
    """Encodes the culprits of one report; what they share is encoded once.

    ``processes`` are those that the report is about, ``snapshots`` are its own.
    """

    def __init__(
        self, report: Report, tables: Tables, processes: Processes | Alone, snapshots: Snapshots
    ) -> None:
        self._report = report
        self._stacks = TreeStacks(tables, report.heap.tree)
        self._processes = processes
        self._snapshots = snapshots
        self._lines: dict[Frame, str] = {}
        self._text = lru_cache(maxsize=1024)(encoded)

    def all(self, culprits: Sequence[Culprit]) -> Encoded:
        """Encode ``culprits`` as a list."""
        return listed(map(self.one, culprits))

    def one(self, culprit: Culprit) -> Encoded:
        """Encode ``culprit`` as an object."""
        stack, thread, recorded = self._stacks.of(culprit.node)
        process = self._processes.place(recorded)
        resident: str = NULL
        retained = ""
        if culprit.resident_bytes is not None:
            resident = str(culprit.resident_bytes)
        if culprit.retained_bytes is not None:
            retained = f'"retained_bytes":{culprit.retained_bytes},'
        return Encoded(
            f'{{{self._line(culprit.frame)},"bytes":{culprit.bytes},"resident_bytes":{resident},'
            f'{retained}"allocations":{culprit.allocations},"share":{rounded(culprit.share)},'
            f'"stack":{stack},"thread":{self._text(thread)},"process":{process},'
            f'"holders":{self._snapshots.holders(culprit.holders)}}}'
        )

    def _line(self, frame: Frame) -> str:
        """Encode the fields that all culprits of a line have in common, without braces."""
        known = self._lines.get(frame)
        if known is None:
            line = {
                "filename": frame.filename or None,
                "lineno": frame.lineno or None,
                "function": frame.function,
                "source": self._report.source(frame),
            }
            known = self._lines[frame] = encoded(line)[1:-1]
        return known
