"""The sentences of a report: findings, advice, the program's end, and what could not be known."""

from __future__ import annotations

from pathlib import PurePath

from memdeep.model import (
    Advice,
    Exit,
    Finding,
    FindingKind,
    Frame,
    Phase,
    PhaseKind,
    Report,
)
from memdeep.report import units

MAX_NAME = 100

ADVICE = {
    Advice.DEEP_COPY: (
        "copy.deepcopy duplicates the whole object. Keep a reference if nobody changes it, copy "
        "only the fields that change, or store the difference."
    ),
    Advice.WHOLE_PARSE: (
        "The whole file is turned into Python objects at once. Read it piece by piece, keep only "
        "the fields in use, or hold numbers in arrays."
    ),
    Advice.UNPICKLE: (
        "Unpickling rebuilds every object at once. Store the parts separately and load those in "
        "use, or use a memory-mapped format."
    ),
    Advice.IMPORT: (
        "These bytes were allocated by an import. Import it only where it is needed, or import a "
        "smaller part."
    ),
    Advice.REPEATED_GROWTH: (
        "The heap grows with nearly every repeat of this phase: look for a list, dict or cache "
        "that is never emptied."
    ),
}


def location(frame: Frame) -> str:
    """``learning.py:88``, ``json/__init__.py:293``, or the function where there is no file."""
    if not frame.filename:
        return frame.function
    path = PurePath(frame.filename)
    name = "/".join(path.parts[-2:]) if path.stem in ("__init__", "__main__") else path.name
    return f"{name}:{frame.lineno}" if frame.lineno else name


def short(name: str) -> str:
    """``name`` cut to fit into a sentence."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1].rstrip()}…"


def phase_name(phase: Phase) -> str:
    """The phase's name as the subject of a sentence."""
    if phase.outline.kind is PhaseKind.SEGMENT:
        return f"The stretch {short(phase.name)}"
    return short(phase.name)


def finding(report: Report, item: Finding) -> str:
    """A finding as one sentence."""
    phase = report.phases[item.phase]
    where = location(item.culprit.frame)
    if item.kind is FindingKind.PEAK:
        return (
            f"{phase_name(phase)} peaked at {units.size(peak_bytes(phase))} of heap: {where} held "
            f"{units.size(item.bytes)} of it, freed before the phase ended."
        )
    rss = phase.rss_delta_bytes
    growth = (
        f"grew RSS by {units.size(rss)}"
        if rss is not None and rss > 0
        else f"grew the heap by {units.size(phase.heap_delta_bytes)}"
        if (phase.heap_delta_bytes or 0) > 0
        else "kept new memory"
    )
    until = "at its end" if phase.complete else "when the program ended"
    repeats = f" over {phase.repeats:,} repeats" if phase.repeats > 1 else ""
    return (
        f"{phase_name(phase)} {growth}{repeats}: {where} allocated {units.size(item.bytes)} "
        f"still alive {until}."
    )


def peak_bytes(phase: Phase) -> int | None:
    """The height of the phase's peak, where it was traced."""
    return None if phase.peak is None else phase.peak.bytes


def headline(report: Report) -> str:
    """The first finding, or that there is none."""
    if report.findings:
        return finding(report, report.findings[0])
    if not report.heap.traced:
        return _untraced_headline(report)
    return (
        "Nothing stands out: no line kept or peaked at more than "
        f"1 MB or 2 % of the largest heap ({units.size(report.heap.peak_bytes)})."
    )


def no_findings(report: Report) -> str:
    """Why there is no list of lines."""
    if not report.heap.traced:
        return "Allocations were not traced. The phases below show where the RSS grew."
    return "No single line stands out. The phases below show where the memory went."


def _untraced_headline(report: Report) -> str:
    grown = [phase for phase in report.phases if (phase.rss_delta_bytes or 0) > 0]
    if not grown:
        return "The RSS did not grow, and allocations were not traced."
    parents = {phase.outline.parent for phase in report.phases}
    innermost = [p for p in grown if report.phases.index(p) not in parents] or grown
    most = max(innermost, key=lambda phase: phase.rss_delta_bytes or 0)
    return (
        f"{phase_name(most)} grew RSS by {units.size(most.rss_delta_bytes)}, the most of all. "
        "Allocations were not traced, so which line it was is not known."
    )


def outcome(report: Report) -> str:
    """How the program ended."""
    run = report.run
    after = f" after {units.duration(run.duration_s)}" if run.duration_s is not None else ""
    if run.exit is None:
        recorded = units.duration(run.duration_s)
        return f"How the program ended is not known; it was recorded for {recorded}."
    where = _last_place(report)
    sentences = {
        "completed": f"The program completed{after}.",
        "failed": f"The program failed with exit status {run.exit.code}{after}.",
        "killed": f"The program was killed by {run.exit.signal}{after}{where}.",
        "oom-killed": f"The kernel killed the program for want of memory{after}{where}.",
    }
    return sentences.get(run.exit.verdict, f"The program ended{after}.")


def _last_place(report: Report) -> str:
    label = last_checkpoint(report)
    return f"; the last checkpoint it reached is {short(label)}" if label else ""


def last_checkpoint(report: Report) -> str | None:
    """The label of the last checkpoint that the program itself set."""
    points = report.run.checkpoints
    if report.death is not None:
        last = report.death.last_checkpoint
        return None if last is None else points[last].label
    return points[-2].label if len(points) > 2 else None


def notes(report: Report) -> tuple[str, ...]:
    """What a reader must know to trust the figures, and what could not be known in this run."""
    run = report.run
    said = [
        "Heap is what the program and its libraries asked for, exactly; RSS is what the kernel "
        "holds in memory for the process. “Explained” is heap growth divided by RSS growth. The "
        "rest is memory that was reserved and not touched, allocator slack, file pages, the "
        "tracker itself, and allocators that cannot be traced.",
    ]
    if run.mode.backend == "memray":
        said.append(
            "The tracker is in the RSS as well: its output file is mapped into the process (at "
            "most 16 MB) and it keeps tables of stacks."
        )
    if run.mode.backend == "tracemalloc":
        said.append(
            "tracemalloc sees what Python's own allocators hand out: native allocations are not "
            "known, nor are the stacks alive at a peak within a phase. Of each line only the "
            "difference between two checkpoints is known; its tables, and the snapshots, are in "
            "the RSS."
        )
    if run.mode.backend == "rss":
        said.append("Only the RSS was recorded: which line allocated what is not known.")
    if run.mode.focus:
        said.append(
            f"Allocations were traced only as {', '.join(run.mode.focus)} asked for; elsewhere "
            "the heap is not known (–), and what was allocated before is not counted."
        )
    if run.mode.backend == "memray" and not run.mode.python_allocators:
        said.append(
            "Python's own allocator hands out small objects from arenas of 256 KB or 1 MB. An "
            "arena is charged to the line that made it necessary, so functions are right, but "
            "lines that allocate small objects in turn may share wrongly. Record with "
            "--trace-python-allocators for exact lines, at more cost."
        )
    if run.mode.native:
        said.append(
            "Stacks that never held 1/2000 of the largest heap are shown without native frames: "
            "looking up their symbols would take longer than the run."
        )
    if run.mode.backend == "memray":
        said.append(
            "Bytes alive at a peak are accurate to about 0.01 % for a single stack; the height of "
            "the peak, and everything at checkpoints, is exact."
        )
    if run.exit is None:
        said.append("The recording does not say how the program ended.")
    said.extend(run.problems)
    return tuple(said)


def exit_facts(end: Exit | None) -> str:
    """The exit in two words, for a list of facts."""
    if end is None:
        return units.UNKNOWN
    if end.signal is not None:
        return end.signal
    return units.UNKNOWN if end.code is None else str(end.code)
