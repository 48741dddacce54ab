"""Encodes the checkpoints of a report, and chooses those that are listed where there are too many.

A list of every repeat of a phase would grow with the run and tell nothing that the phase does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring

from memdeep.model import Checkpoint, Report
from memdeep.report.json.records import Encoded

MAX_LISTED = 62_000  # about 130 bytes each: the document stays below 10 MB
WANTED = 30_000  # of more than that; those whose labels come once or twice are all listed


class Checkpoints:
    """The checkpoints of a process that are listed, and their places in the list.

    ``before`` of other processes come before them; it began at ``start_s``.
    """

    def __init__(
        self,
        report: Report,
        phases: Sequence[int],
        process: int = 0,
        before: int = 0,
        start_s: float = 0.0,
    ) -> None:
        self._report = report
        self._process, self._before, self._start_s = process, before, start_s
        self._listed = listed_checkpoints(report, phases)
        self._places = {point: place for place, point in enumerate(self._listed, before)}

    def __len__(self) -> int:
        return len(self._listed)

    @property
    def left_out(self) -> int:
        """The number of checkpoints that are not listed."""
        return len(self._report.run.checkpoints) - len(self._listed)

    def place(self, checkpoint: int) -> int:
        """Return the index in the list of ``checkpoint``, which a phase or the death names."""
        return self._places[checkpoint]

    def place_of_known(self, checkpoint: int | None) -> int | None:
        """Return the index in the list of ``checkpoint``, or None for None."""
        return None if checkpoint is None else self.place(checkpoint)

    def encoded(self) -> Iterator[Encoded]:
        """Yield each listed checkpoint as an object, with only what the schema asks for."""
        points, at_checkpoints = self._report.run.checkpoints, self._report.heap.at_checkpoints
        for place, point in enumerate(map(points.__getitem__, self._listed), self._before):
            time_s = round(point.time_s + self._start_s, 6)
            rss, heap = point.rss_bytes, at_checkpoints[point.index]
            yield Encoded(
                f'{{"index":{place},"label":{encode_basestring(point.label)},"note":{_text(point.note)},'
                f'"time_s":{time_s},"rss_bytes":{"null" if rss is None else rss},'
                f'"heap_bytes":{"null" if heap is None else heap},'
                f'"thread":{_text(point.thread)},"process":{self._process}}}'
            )


def listed_checkpoints(report: Report, phases: Sequence[int]) -> Sequence[int]:
    """Choose the checkpoints to list, in order: all of them, or of each label some.

    These are spread evenly over the checkpoints of one label and kind, so that both ends of a
    repeat are listed or neither is. The ends of ``phases``, which are listed, the snapshots
    and all that the death names are among them, and the checkpoints with the highest RSS and heap.
    """
    points = report.run.checkpoints
    if len(points) <= MAX_LISTED:
        return range(len(points))
    step = -(-len(points) // WANTED)
    listed = {0, len(points) - 1, *_highest(report)}
    seen: Counter[tuple[str, str]] = Counter()
    for point in points:
        name = (point.label, point.kind.value)
        if seen[name] % step == 0:
            listed.add(point.index)
        seen[name] += 1
    for phase in (report.phases[place] for place in phases):
        listed.update((phase.start, phase.end))
    listed.update(snapshot.checkpoint for snapshot in report.snapshots)
    if (death := report.death) is not None:
        named = [death.last_checkpoint, death.known_at]
        if death.last_growth is not None:
            named += [death.last_growth.stretch.start, death.last_growth.stretch.end]
        listed.update(point for point in named if point is not None)
    return sorted(listed)


def _highest(report: Report) -> tuple[int, int]:
    """Return the checkpoints with the highest RSS and with the highest heap."""

    def resident(point: Checkpoint) -> int:
        return point.rss_bytes or 0

    at_checkpoints = report.heap.at_checkpoints
    heap = max(range(len(at_checkpoints)), key=lambda place: at_checkpoints[place] or 0)
    return max(report.run.checkpoints, key=resident).index, heap


def _text(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)
