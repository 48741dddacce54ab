"""Encodes a report for speedscope: a profile for each phase and figure, with all stacks.

https://www.speedscope.app/file-format-schema.json is the schema of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from memdeep.analysis.accounts import OUTSIDE, Accounts, Metric
from memdeep.model import PhaseKind, Report
from memdeep.model.sums import Tally
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import ShownStacks, paths_of
from memdeep.text.safe import plain
from memdeep.version import __version__

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
MAX_PHASES = 100  # more are a list that nobody reads, and slow to open
METRICS = (Metric.KEPT, Metric.FREED, Metric.PEAK)


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield the profiles, then the frames that they name.

    Of many phases those that moved most memory have profiles: the name of the file says how many.
    """
    places, known = _places(report, options)
    metrics = METRICS if options.metric is None else (options.metric,)
    sums = Accounts(report).sums(*metrics)
    stacks, frames = ShownStacks(report), _Frames()
    yield f'{{"$schema":{json.dumps(SCHEMA)},"profiles":['.encode()
    number = active = 0
    most = -1
    for place, path in places:
        for metric in metrics:
            tally = sums[metric].get(place)
            if tally is None or not tally.total_bytes():
                continue
            title = f"{path}: {metric.value}"
            yield f"{',' * (number > 0)}\n{_profile(title, tally, stacks, frames)}".encode()
            weight = tally.total_bytes()
            is_span = place != OUTSIDE and report.phases[place].outline.kind is PhaseKind.SPAN
            if metric is metrics[0] and is_span and weight > most:
                active, most = number, weight
            number += 1
    name = plain(report.run.name)
    if len(places) < known:
        name += f" ({len(places):,} of {known:,} phases, those that moved most memory)"
    about = {
        "shared": {"frames": frames.shown(stacks)},
        "name": name,
        "activeProfileIndex": active,
        "exporter": f"memdeep@{__version__}",
    }
    yield f"\n],{_text(about)[1:]}\n".encode()


def _places(report: Report, options: ExportOptions) -> tuple[Sequence[tuple[int, str]], int]:
    """Return the phases that get profiles with their paths, in order; and how many there are."""
    paths = paths_of(report.phases)
    wanted = [place for place in range(len(paths)) if options.has(place)]
    by_movement = sorted(wanted, key=lambda place: -report.phases[place].moved_bytes)
    return [(place, paths[place]) for place in sorted(by_movement[:MAX_PHASES])], len(wanted)


def _profile(title: str, tally: Tally[int], stacks: ShownStacks, frames: _Frames) -> str:
    held = [(node, size) for node, (size, _) in sorted(tally.items()) if size > 0]
    samples = [[frames.number(one) for one in stacks.frames(node)] for node, _ in held]
    return _text(
        {
            "type": "sampled",
            "name": title,
            "unit": "bytes",
            "startValue": 0,
            "endValue": sum(size for _, size in held),
            "samples": samples,
            "weights": [size for _, size in held],
        }
    )


class _Frames:
    """The frames in the order of their first use."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}

    def number(self, frame: int) -> int:
        return self._places.setdefault(frame, len(self._places))

    def shown(self, stacks: ShownStacks) -> Sequence[Mapping[str, object]]:
        return [_frame(stacks, number) for number in self._places]


def _frame(stacks: ShownStacks, number: int) -> Mapping[str, object]:
    frame = stacks.frame(number)
    fields: dict[str, object] = {"name": frame.function}
    if frame.path:
        fields["file"] = frame.path
    if frame.lineno:
        fields["line"] = frame.lineno
    return fields


def _text(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
