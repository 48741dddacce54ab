"""Stacks the PSS of the processes of a run over time: a few layers, the program at the bottom.

Processes that one line started are neighbours, or one layer where there are too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memdeep.frozen import frozen
from memdeep.model import Process, Report, Run, Sample
from memdeep.report import processes
from memdeep.report.page.thinning import MAX_POINTS, thin
from memdeep.text.language import Language

MAX_LAYERS = 8
OTHERS = -1  # the family of what has no layer of its own
PROGRAM = 0


@frozen
class Layer:
    """Processes (their indices) that are drawn as one; ``sizes`` are their PSS at each time.

    ``family`` is the index of their group among those shown, ``tint`` tells layers of one family
    apart.
    """

    members: tuple[int, ...]
    family: int
    tint: int
    sizes: tuple[int, ...]


@frozen
class Layers:
    """Layers from the bottom up; each stays at its size from one of ``times_s`` to the next."""

    times_s: tuple[float, ...]
    layers: tuple[Layer, ...]

    def tops(self) -> Iterator[Sequence[Sample]]:
        """Yield the upper edge of each layer."""
        heights = [0] * len(self.times_s)
        for layer in self.layers:
            heights = [height + size for height, size in zip(heights, layer.sizes, strict=True)]
            yield [Sample(at, size) for at, size in zip(self.times_s, heights, strict=True)]


def stacked(report: Report) -> Layers | None:
    """Return the layers of a run, or None if no process but the program was read."""
    run = report.run
    read = [place for place, process in enumerate(run.processes) if process.curve]
    if not any(place != PROGRAM for place in read):
        return None
    families = _families(run, read)
    chosen = [
        (members, family, tint)
        for family, parts in enumerate(families)
        for tint, members in enumerate(parts)
    ]
    rest = tuple(sorted(set(read).difference(*(members for members, _, _ in chosen))))
    if rest:
        chosen.append((rest, OTHERS, 0))
    layer_of = {place: number for number, (members, _, _) in enumerate(chosen) for place in members}
    swept = dict(_sweep(run, layer_of, len(chosen)))
    totals = [Sample(time_s, sum(sizes)) for time_s, sizes in swept.items()]
    times_s = tuple(sample.time_s for sample in thin(totals, MAX_POINTS))
    return Layers(
        times_s,
        tuple(
            Layer(members, family, tint, tuple(swept[time_s][number] for time_s in times_s))
            for number, (members, family, tint) in enumerate(chosen)
        ),
    )


def label(report: Report, layer: Layer, language: Language) -> str:
    """Return the name of a layer."""
    if layer.family == OTHERS:
        return language.say("timeline.others", n=len(layer.members))
    return text_label(report, layer) or language.say("timeline.program")


def text_label(report: Report, layer: Layer) -> str:
    """Return the name of a layer of processes that were started; empty for other layers."""
    first = report.run.processes[layer.members[0]]
    if layer.family == OTHERS or layer.members == (PROGRAM,):
        return ""
    group = sum(one.group == first.group for one in report.run.processes)
    count = group if len(layer.members) > 1 else 1
    command, line = processes.command_of(first), processes.started_by(first)
    # Of another program its name tells most.
    is_other = bool(command) and not first.is_traced and first.how in (None, "subprocess")
    what = command.split(" ", 1)[0] if is_other else processes.how(first)
    rank = processes.rank(first) if count == 1 else ""
    name = rank or f"{what} {f'× {count:,}' if count > 1 else first.pid}"
    return " · ".join(filter(None, (name, line or ("" if is_other else command[:40]))))


def _families(run: Run, read: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """Return the layers of each family: the program, then groups, as many as there is room for."""
    groups: dict[int, list[int]] = {}
    for place in read:
        group = run.processes[place].group
        groups.setdefault(place if group is None else group, []).append(place)
    families: list[list[tuple[int, ...]]] = []
    if PROGRAM in groups:
        families.append([tuple(groups.pop(PROGRAM))])
    room = MAX_LAYERS - len(families)
    shown = list(groups.values())
    if len(shown) > room:
        by_size = sorted(shown, key=lambda members: -_highest(run.processes, members))
        largest = by_size[: room - 1]
        shown = [members for members in shown if members in largest]
        room -= 1
    room -= len(shown)
    apart: set[int] = set()  # the first of each group whose members are told one by one
    for members in sorted(shown, key=len):
        if len(members) - 1 <= room:
            room -= len(members) - 1
            apart.add(members[0])
    for members in shown:
        is_apart = members[0] in apart
        families.append([(one,) for one in members] if is_apart else [tuple(members)])
    return families


def _highest(of: Sequence[Process], members: Sequence[int]) -> int:
    return sum(max(sample.bytes for sample in of[place].curve) for place in members)


def _sweep(
    run: Run, layer_of: Mapping[int, int], layers: int
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield each moment at which sizes were read, and the sizes of the layers then.

    All processes are read at one moment: one that was not has ended. Until the next one it stays,
    as nobody knows which of the pages that it shared went to the others.
    """
    read: dict[float, dict[int, int]] = {}
    for place in layer_of:
        for sample in run.processes[place].curve:
            read.setdefault(sample.time_s, {})[place] = sample.bytes
    for time_s in sorted(read):
        sizes = [0] * layers
        for place, size in read[time_s].items():
            sizes[layer_of[place]] += size
        yield time_s, tuple(sizes)
