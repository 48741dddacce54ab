"""Encodes a report as a profile of pprof: compressed Protocol Buffers, samples of all stacks.

https://github.com/google/pprof/blob/main/proto/profile.proto has the numbers of the fields.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from memdeep.analysis.accounts import Accounts, at_peak, highest_peak
from memdeep.model import Peak, Report
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.protobuf import Message
from memdeep.report.exports.shown import ShownStacks, paths_of, process_name
from memdeep.text.safe import plain
from memdeep.version import __version__

# Types of samples: each has a number of objects and of bytes.
ALLOC, RETAINED, KEPT, INUSE, PEAK = "alloc", "retained", "kept", "inuse", "peak"

Sample = tuple[int, tuple[int, ...]]  # a node, and the phases that the bytes count for


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Return one compressed profile, in pieces.

    A sample carries the label ``phase`` once for each phase that its bytes count for: the samples
    with one label add up to the figure of that phase. The objects and bytes at the peak are those
    of the run, or of the highest of the phases that ``options`` names.
    """
    profile = _Profile(report)
    compressor = zlib.compressobj(9, wbits=31)  # as gzip has it, without a time
    for message in profile.messages(options):
        if piece := compressor.compress(message):
            yield piece
    yield compressor.flush()


class _Profile:
    """Tables of what samples name by number, and the messages made of them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._stacks = ShownStacks(report)
        self._paths = paths_of(report.phases)
        self._texts: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[int, int] = {}  # by the number of the frame

    def messages(self, options: ExportOptions) -> Iterator[bytes]:
        """Yield the fields of the profile, those that others name behind them."""
        accounts, peak = Accounts(self._report), _peak(self._report, options)
        types = [ALLOC] * accounts.knows_allocated + [RETAINED, KEPT, INUSE]
        types += [PEAK] * (peak is not None)
        for kind in types:
            for name, unit in ((f"{kind}_objects", "count"), (f"{kind}_space", "bytes")):
                yield Message().message(1, self._type(name, unit)).encoded()
        sums: dict[Sample, list[int]] = {}
        columns = {kind: 2 * place for place, kind in enumerate(types)}

        def add(kind: str, node: int, phases: Sequence[int], size: int, count: int) -> None:
            if kind not in columns:
                return
            named = tuple(place for place in phases if options.has(place))
            if named or options.phases is None:
                values = sums.setdefault((node, named), [0] * 2 * len(types))
                values[columns[kind]] += count
                values[columns[kind] + 1] += size

        for (node, _, died, size, count), charged in accounts.lifetimes():
            add(ALLOC, node, charged.allocated, size, count)
            if charged.retained:
                add(RETAINED, node, charged.retained, size, count)
            if charged.kept:
                add(KEPT, node, charged.kept, size, count)
            if died is None:
                add(INUSE, node, charged.allocated, size, count)
        if peak is not None:
            phases = _phases_of(self._report, peak)
            for node, (size, count) in at_peak(peak).items():
                add(PEAK, node, phases, size, count)
        for (node, phases), values in sorted(sums.items()):
            yield Message().message(2, self._sample(node, phases, values)).encoded()
        yield self._about().encoded()
        for text in list(self._texts):
            yield Message().text(6, text).encoded()

    def _about(self) -> Message:
        report, about = self._report, Message()
        mapping = Message().number(1, 1).number(5, self._text(plain(report.run.name)))
        for has in (7, 8, 9):  # functions, files and lines: nothing is left to look up
            mapping.number(has, 1)
        about.message(3, mapping)
        for number, place in self._locations.items():
            about.message(4, self._location(number, place))
        for (function, path), place in self._functions.items():
            # A name like `<module>` is taken for a template's and cut, unless another one stands
            # for that of the system.
            named = Message().number(1, place).number(2, self._text(function))
            about.message(
                5, named.number(3, self._text(f"{path}:{function}")).number(4, self._text(path))
            )
        run = report.run
        if run.started is not None:
            moment = datetime.fromisoformat(run.started)
            about.number(9, round(moment.timestamp() * 1e6) * 1000)
        about.number(10, round((run.duration_s or 0.0) * 1e9))
        about.message(11, self._type("space", "bytes")).number(12, 1)
        command = plain(" ".join(run.command))
        about.number(13, self._text(f"memdeep {__version__}: {command}"))
        return about.number(14, self._text(f"{KEPT}_space"))

    def _sample(self, node: int, phases: Sequence[int], values: Sequence[int]) -> Message:
        frames = self._stacks.frames(node)
        places = [
            self._locations.setdefault(number, len(self._locations) + 1)
            for number in reversed(frames)
        ]
        sample = Message().numbers(1, places).numbers(2, values)
        labels = [("phase", self._paths[place]) for place in phases]
        if node >= 0:
            labels.append(("thread", self._stacks.thread(node)))
            labels.append(("process", process_name(self._report, self._stacks.process(node))))
        for key, text in labels:
            if text:
                label = Message().number(1, self._text(key)).number(2, self._text(text))
                sample.message(3, label)
        return sample

    def _location(self, number: int, place: int) -> Message:
        frame = self._stacks.frame(number)
        name = (frame.function, frame.path)
        function = self._functions.setdefault(name, len(self._functions) + 1)
        line = Message().number(1, function).number(2, frame.lineno)
        return Message().number(1, place).number(2, 1).message(4, line)

    def _type(self, name: str, unit: str) -> Message:
        return Message().number(1, self._text(name)).number(2, self._text(unit))

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def _peak(report: Report, options: ExportOptions) -> Peak | None:
    """Return the highest heap of the run, or of the phases to export; None if it is not known."""
    if options.phases is None:
        return highest_peak(report)
    peaks = [phase.peak for place, phase in enumerate(report.phases) if options.has(place)]
    return max(filter(None, peaks), key=lambda peak: peak.bytes, default=None)


def _phases_of(report: Report, peak: Peak) -> Sequence[int]:
    """Return the phases whose heap was highest at that very moment."""
    return [
        place
        for place, phase in enumerate(report.phases)
        if phase.peak is not None
        and (phase.peak is peak or (phase.peak.bytes == peak.bytes and _is_same(phase.peak, peak)))
    ]


def _is_same(one: Peak, other: Peak) -> bool:
    is_known = one.time_s is not None and one.stacks is not None
    return one.stacks is other.stacks or (is_known and one.time_s == other.time_s)
