"""Words a report: names, findings, the end of the program, its death, notes.

Decides which sentence applies and which figures are in it. The words themselves are in the tables
of the languages.
"""

from __future__ import annotations

from collections.abc import Callable

from memdeep.analysis import weights
from memdeep.analysis.alike import shared
from memdeep.model import (
    DETACHED,
    RUNNING,
    Advice,
    CheckpointKind,
    Culprit,
    Exit,
    Finding,
    FindingKind,
    Identity,
    MemoryLimit,
    Phase,
    PhaseKind,
    Report,
    Run,
    Stretch,
)
from memdeep.model.statement import Statement
from memdeep.report.frame_names import location
from memdeep.text import translation, units
from memdeep.text.language import Language

COMPLETED = "completed"
VERDICTS = (COMPLETED, "failed", "killed", "oom-killed", DETACHED, RUNNING)  # those that have words
# Evidence that a program did not choose its status itself.
_NOT_CHOSEN = ("exit.uncaught", "exit.not_the_way_of_python", "exit.exec")
MAX_NAME = 100  # characters of a name within a sentence
NEARLY_ALL = 0.9  # of what stayed; where less is resident, it is said how much


def short(name: str) -> str:
    """Cut ``name`` so that it fits into a sentence."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1].rstrip()}…"


def phase_label(run: Run, phase: Phase, language: Language) -> str:
    """Return a span's own name, or the name of a segment, made of its two checkpoints."""
    outline = phase.outline
    if outline.kind is PhaseKind.SPAN:
        return _visible(outline.name, language)
    stretch = outline.stretches[0]
    return language.say(
        "checkpoint.stretch",
        start=checkpoint_label(run, stretch.start, language),
        end=checkpoint_label(run, stretch.end, language),
    )


def pattern_label(run: Run, phase: Phase, language: Language) -> str:
    """Return the name of phases of like names; ``phase`` is that of their pattern.

    Segments between checkpoints of one pattern are named by it. ``templates/js/names.js`` says the
    same.
    """
    if phase.outline.kind is PhaseKind.SPAN:
        return phase.outline.name
    starts, ends = (
        shared(checkpoint_label(run, place, language) for place in places)
        for places in zip(*((s.start, s.end) for s in phase.outline.stretches), strict=True)
    )
    if starts == ends:
        return language.say("phases.segments", name=ends)
    return language.say("checkpoint.stretch", start=starts, end=ends)


def checkpoint_label(
    run: Run, place: int, language: Language, cut: Callable[[str], str] = str
) -> str:
    """Return the label of checkpoint ``place``, marked where it begins or ends a span.

    ``cut`` may shorten the label.
    """
    if place == 0:
        return language.say("checkpoint.run_start")
    if place == len(run.checkpoints) - 1:
        return language.say("checkpoint.run_end")
    point = run.checkpoints[place]
    if point.kind is CheckpointKind.POINT:
        return cut(_visible(point.label, language))
    label = cut(_visible(point.label, language))
    return language.say(f"checkpoint.{point.kind.value}", label=label)


def _visible(label: str, language: Language) -> str:
    """Return ``label``; a blank one would be seen nowhere."""
    return label if label.strip() else language.say("checkpoint.blank")


def headline(report: Report, language: Language) -> str:
    """Return the first finding as a sentence, or that there is none."""
    if report.findings:
        return finding(report, report.findings[0], language)
    is_traced = bool(report.heap.traced)
    told = [phase for phase in report.phases if not is_traced or phase.heap is None]
    grown = [phase for phase in told if (phase.rss_delta_bytes or 0) > 0]
    if is_traced and (not grown or report.run.mode.focus):
        return language.say("finding.none", peak_bytes=report.heap.peak_bytes)
    if not grown:
        return language.say("finding.none_untraced")
    parents = {phase.outline.parent for phase in report.phases}
    innermost = [p for p in grown if report.phases.index(p) not in parents] or grown
    most = max(innermost, key=lambda phase: phase.rss_delta_bytes or 0)
    return language.say(
        "finding.most_unknown" if is_traced else "finding.most_untraced",
        phase=_subject(report, most, language),
        size_bytes=most.rss_delta_bytes,
    )


def peak_heap(report: Report, language: Language) -> str:
    """Return the highest heap, and what of it was only reserved, if much.

    It may have been higher where not all of it is known.
    """
    heap_bytes = report.heap.peak_bytes
    whole = Stretch(0, len(report.run.checkpoints) - 1)
    if heap_bytes is not None and not report.heap.is_traced(whole):
        return language.say("terminal.heap_partly", heap_bytes=heap_bytes)
    reserved_bytes = weights.much_reserved(report)
    if reserved_bytes is None:
        return units.size(heap_bytes)
    return language.say(
        "terminal.heap_reserved", heap_bytes=heap_bytes, reserved_bytes=reserved_bytes
    )


def no_findings(report: Report, language: Language) -> str:
    """Return why the list of findings is empty."""
    return language.say("finding.see_phases" if report.heap.traced else "finding.not_traced")


def finding(report: Report, item: Finding, language: Language) -> str:
    """Return a finding as one sentence."""
    phase = report.phases[item.phase]
    if item.culprit is None:
        return without_line(report, item, language)
    where = place_of_finding(report, item, language)
    if item.kind is FindingKind.PEAK:
        key = "finding.peak_of_repeats" if item.spans_repeats else "finding.peak"
        return language.say(
            "finding.highest" if item.fate is None else key,
            phase=_within(report, item, language),
            peak_bytes=phase.highest_bytes if item.fate is None else phase.peak_bytes,
            where=where,
            size_bytes=item.bytes,
            repeats=phase.repeats,
        ) + _further(report, item, language)
    if item.kind is not FindingKind.GROWTH:
        said = language.say(
            f"finding.{item.kind.value}",
            phase=_within(report, item, language),
            where=where,
            size_bytes=item.bytes,
            resident_bytes=item.bytes_in_use,
        )
        is_in_each = item.kind is FindingKind.SHARED and report.heap.processes
        return said + (language.say("finding.shared_in_each") if is_in_each else "")
    last = report.phases[item.phases[-1]]
    is_one = len(item.phases) == 1
    until = "finding.until_end" if is_one else "finding.until_last_end"
    repeats = ""
    if is_one and phase.repeats > 1:
        repeats = language.say("finding.over_repeats", repeats=phase.repeats)
        until = "finding.until_last_repeat"
    if not last.complete:
        ends = {DETACHED: "finding.until_detach"}
        until = ends.get(verdict(report.run.exit), "finding.until_death")
    if not report.is_traced_to(item, last.end):
        until = "finding.until_untraced"
    return language.say(
        f"finding.{weights.stayed_in(report, item)}",
        phase=_within(report, item, language),
        repeats=repeats,
        where=where,
        size_bytes=item.bytes,
        arenas_bytes=item.arena_bytes,
        until=language.say(until),
    ) + _further(report, item, language)


def without_line(
    report: Report, item: Finding, language: Language, *, beside_size: bool = False
) -> str:
    """Return a finding that no line is known of; ``beside_size`` its size is not in the words."""
    kind = item.kind.value
    key = f"terminal.{kind}" if beside_size else f"finding.{kind}"
    within = _within(report, item, language)
    if item.kind is not FindingKind.UNRECORDED:
        phase = report.phases[item.phase]
        return language.say(
            key,
            phase=within if beside_size else _subject(report, phase, language),
            size_bytes=item.bytes,
            rss_bytes=phase.rss_delta_bytes,
        )
    processes = [report.run.processes[place] for place in item.processes]
    line = next((one.started_at for one in processes if one.started_at is not None), None)
    names = item.evidence["programs"]
    return language.say(
        key if line is None else f"{key}_at",
        phase=within,
        size_bytes=item.bytes,
        n=len(processes),
        line="" if line is None else location(line),
        programs=language.say("finding.programs", names=short(str(names))) if names else "",
    )


def _further(report: Report, item: Finding, language: Language) -> str:
    """Return how much of a finding is resident, if not nearly all, and who called a library.

    And that the phase is not known, where others of its thread were open at the same time.
    """
    said = language.say("finding.overlapped") if _is_overlapped(report, item) else ""
    if item.bytes_in_use < NEARLY_ALL * item.bytes:
        key = "finding.peak_in_use" if item.kind is FindingKind.PEAK else "finding.in_use"
        said += language.say(key, resident_bytes=item.resident_bytes)
    if item.replaced_bytes:
        said += language.say("finding.replaced", replaced_bytes=item.replaced_bytes)
    if item.moved_bytes:
        said += language.say("finding.moved", moved_bytes=item.moved_bytes)
    if item.kind is FindingKind.PEAK and item.fate is not None and item.fate.moved_bytes:
        said += language.say("finding.moved_on", moved_bytes=item.fate.moved_bytes)
    if item.called_by:
        *others, where = map(location, item.called_by)
        if others:
            first = language.say("workers.and").join(others)
            where = language.say("finding.these_and", first=first, last=where)
        said += language.say("finding.called_by", where=where)
    return said


def _is_overlapped(report: Report, item: Finding) -> bool:
    """Tell if a finding names one phase of several, such as tasks, that were open together."""
    one = report.phases[item.phase]
    others = (phase for phase in report.phases if phase.outline.overlaps and phase is not one)
    return (
        len(item.phases) == 1
        and one.outline.overlaps
        and any(other.start < one.end and one.start < other.end for other in others)
    )


def place_of(report: Report, culprit: Culprit, language: Language) -> str:
    """Return where a culprit is, and that it is in a thread unless it is in the main one."""
    where = location(culprit.frame)
    if weights.in_other_thread(report.heap.tree, culprit.node):
        return language.say("finding.in_thread", where=where)
    return where


def place_of_finding(report: Report, item: Finding, language: Language) -> str:
    """Return where a finding is, and in which processes if not in the program alone."""
    if item.culprit is None:
        return ""
    where = place_of(report, item.culprit, language)
    others = [place for place in item.processes if place]
    if not others:
        return where
    if item.row:
        where = language.say("finding.in_row", where=where, name="/".join(map(short, item.row)))
    if 0 in item.processes:
        return language.say("finding.in_program_too", where=where, n=len(others))
    processes = report.run.processes
    lines = {processes[place].started_at for place in others}
    line = lines.pop() if len(lines) == 1 else None
    if line is None and all(map(report.run.is_program, others)):
        return language.say("finding.in_successor", where=where)
    if line is None:
        return language.say("finding.in_processes", where=where, n=len(others))
    return language.say("finding.in_workers", where=where, n=len(others), line=location(line))


def finding_name(report: Report, item: Finding, language: Language) -> str:
    """Return the name of the phase that a finding is about, or how many of which names."""
    if len(item.phases) == 1:
        return short(phase_label(report.run, report.phases[item.phase], language))
    key = "finding.pattern" if item.pattern else "finding.segments"
    times = sum(report.phases[place].repeats for place in item.phases)
    return language.say(key, name=short(item.pattern), n=times)


def _within(report: Report, item: Finding, language: Language) -> str:
    """Return the phases of a finding as a part of a sentence."""
    name = finding_name(report, item, language)
    if len(item.phases) > 1:
        return language.say("finding.in_several", name=name)
    is_segment = report.phases[item.phase].outline.kind is PhaseKind.SEGMENT
    return language.say("finding.in_stretch" if is_segment else "finding.name", name=name)


def share(item: Finding, language: Language) -> str:
    """Return the share of a finding's bytes, and of which total it is the share."""
    many = "_many" if len(item.phases) > 1 else ""
    return language.say(f"finding.share_{item.kind.value}{many}", part_share=item.share)


def advice(item: Finding, language: Language) -> str:
    """Return what to do about a finding; empty if no advice applies."""
    if item.advice is None:
        return ""
    key = f"advice.{item.advice.name.lower()}"
    if item.kind is FindingKind.PEAK and item.advice is Advice.GROWING_CONTAINER:
        key += "_peak"  # it grew, but what was put into it did not stay
    return language.say(key, **item.evidence)


def evidence(item: Finding, language: Language) -> str:
    """Return the figures that the advice rests on; empty if no advice applies."""
    if item.advice is None:
        return ""
    text = language.say(f"evidence.{item.advice.name.lower()}", **item.evidence)
    for further in ("warm_up_bytes", "tracker_bytes", "libraries", "unread", "place", "idle_bytes"):
        if item.evidence.get(further):
            text += language.say(f"evidence.with_{further}", **item.evidence)
    return text


def verdict(end: Exit | None) -> str:
    """Return the verdict by which an end is shown: one of `VERDICTS`, "ended" or "unknown".

    A program that chose its status itself, with no exception that nobody caught, has "ended":
    linters and tests exit with 1 whenever they found something.
    """
    if end is None or end.verdict not in VERDICTS:
        return "unknown"
    keys = {said.key for said in end.evidence}
    is_chosen = end.code is not None and keys.isdisjoint(_NOT_CHOSEN)
    return "ended" if end.verdict == "failed" and is_chosen else end.verdict


def went_on(run: Run) -> bool:
    """Tell if this is a recording of a process that has outlived it."""
    if run.exit is None or run.earlier_s is None:
        return False
    return run.exit.verdict == (DETACHED if run.attached else COMPLETED)


def outcome(report: Report, language: Language) -> str:
    """Return how the program ended."""
    run = report.run
    before = _before(report, language)
    if run.exit is None:
        return language.say("outcome.unknown", duration_s=run.duration_s) + before
    if run.exit.verdict == DETACHED:
        return language.say("outcome.detached", duration_s=run.duration_s) + before
    if went_on(run):
        held = run.checkpoints[0].rss_bytes
        return language.say("outcome.recorded", duration_s=run.duration_s, rss_bytes=held)
    label = last_checkpoint(report)
    key = "ended_status" if verdict(run.exit) == "ended" else run.exit.verdict
    text = language.say(
        f"outcome.{key}" if run.exit.verdict in VERDICTS else "outcome.ended",
        duration_s=run.duration_s,
        status=str(run.exit.code),
        signal=run.exit.signal or "",
    )
    if label is not None and run.exit.signal is not None and report.death is None:
        text += language.say("outcome.last_checkpoint", label=short(label))
    return text + before


def _before(report: Report, language: Language) -> str:
    """Return what is known of the memory from before memdeep was attached, if it was."""
    known = report.heap.of_program.earlier
    if known is None:
        return ""
    held = report.run.checkpoints[0].rss_bytes
    if known.bytes is None:
        return language.say("outcome.before_unknown", rss_bytes=held)
    return language.say(
        "outcome.before", rss_bytes=held, size_bytes=known.bytes, n=known.blocks or 0
    )


def last_checkpoint(report: Report) -> str | None:
    """Return the label of the last checkpoint that the program itself set, or None."""
    points = report.run.checkpoints
    if report.death is not None:
        last = report.death.last_checkpoint
        return None if last is None else points[last].label
    return points[-2].label if len(points) > 2 else None


def exit_facts(end: Exit | None) -> str:
    """Return the exit in a word, for the list of facts: its signal or its status."""
    if end is None:
        return units.UNKNOWN
    if end.signal is not None:
        return end.signal
    return units.UNKNOWN if end.code is None else str(end.code)


def exit_evidence(end: Exit | None, language: Language) -> tuple[str, ...]:
    """Return the sentences that the verdict on the program's end rests on."""
    return () if end is None else tuple(statement(said, language) for said in end.evidence)


def statement(said: Statement, language: Language) -> str:
    """Word a statement of the recording side, as a sentence or a part of one."""
    values = {
        name: statement(value, language) if isinstance(value, Statement) else value
        for name, value in said.values.items()
    }
    return language.say(said.key, **values)


def revision(identity: Identity, language: Language) -> str:
    """Return the short commit of a program, and if its files differed from it."""
    commit = (identity.commit or units.UNKNOWN)[:12]
    if identity.is_dirty is None:
        return commit
    changes = "facts.commit_changed" if identity.is_dirty else "facts.commit_clean"
    return f"{commit} · {language.say(changes)}"


def memory_limit(limit: MemoryLimit, language: Language) -> str:
    """Return the limit in force and where it is set."""
    source = statement(limit.source, language)
    return language.say("death.limit", size_bytes=limit.bytes, source=source)


def has_nameless_interpreter(report: Report) -> bool:
    """Tell if functions of the interpreter have no names, as those of a stripped one."""
    return any(map(weights.is_nameless_interpreter, report.heap.tree.frames))


def notes(report: Report, language: Language) -> tuple[str, ...]:
    """Return what a reader must know to trust the figures, then the problems of this run."""
    run = report.run
    memray = run.mode.backend == "memray"
    applies = {
        "notes.heap_is_not_rss": True,
        "notes.tracker": memray,
        "notes.tracemalloc": run.mode.backend == "tracemalloc",
        "notes.rss_only": run.mode.backend == "rss",
        "notes.focus": bool(run.mode.focus),
        "notes.arenas": memray and not run.mode.python_allocators,
        "notes.stripped": has_nameless_interpreter(report),
        "notes.small_stacks": memray and run.mode.native,
        "notes.peaks": memray and report.heap.transients is None,
        "notes.no_gross": memray and report.heap.transients is None,
        "notes.private": bool(report.private_files),
        "notes.no_source": not report.sources and bool(report.heap.tree.frames),
        "notes.end_unknown": run.exit is None,
    }
    said = [
        language.say(key, focus=", ".join(run.mode.focus), files=", ".join(report.private_files))
        for key, is_needed in applies.items()
        if is_needed
    ]
    return (*said, *problems(report, language))


def problems(report: Report, language: Language) -> tuple[str, ...]:
    """Return the sentences on what could not be recorded or read."""
    return tuple(
        statement(said, language)
        if isinstance(said, Statement)
        else translation.into(language.code, said)
        for said in report.run.problems
    )


def _subject(report: Report, phase: Phase, language: Language) -> str:
    """Return the name of ``phase`` as the subject of a sentence."""
    is_segment = phase.outline.kind is PhaseKind.SEGMENT
    key = "finding.stretch" if is_segment else "finding.name"
    return language.say(key, name=short(phase_label(report.run, phase, language)))


def spans(report: Report, phase: int) -> str | None:
    """Return the spans around ``phase``, outermost first, and itself; None if all are segments."""
    names: list[str] = []
    place: int | None = phase
    while place is not None:
        outline = report.phases[place].outline
        if outline.kind is PhaseKind.SPAN:
            names.append(short(outline.name))
        place = outline.parent
    return " › ".join(reversed(names)) or None


def point(report: Report, place: int, language: Language) -> str:
    """Return the label of checkpoint ``place``, short enough for a sentence."""
    return checkpoint_label(report.run, place, language, short)
