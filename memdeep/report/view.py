"""What the page shows, ready to be placed: every figure is text, every list is in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdeep import __version__
from memdeep.model import Culprit, Exit, Finding, FindingKind, Phase, Report
from memdeep.report import timeline, units, words
from memdeep.report.timeline import Timeline

VERDICTS = ("completed", "failed", "killed", "oom-killed")
MAX_ROWS = 300
OPEN_FINDINGS = 3
MAX_CULPRITS_SHOWN = 10
TREND_WIDTH = 100
TREND_HEIGHT = 20
MAX_TREND_POINTS = 100
GOOD_RATIO = 0.9
LOW_RATIO = 0.6


@dataclass(frozen=True, slots=True)
class StackFrameView:
    function: str
    location: str
    path: str
    origin: str
    source: str | None


@dataclass(frozen=True, slots=True)
class CulpritView:
    location: str
    path: str
    function: str
    source: str | None
    bytes_text: str
    share_text: str
    share: float
    allocations_text: str
    stack: tuple[StackFrameView, ...]


@dataclass(frozen=True, slots=True)
class FindingView:
    rank: int
    title: str
    advice: str | None
    phase_index: int
    phase_name: str
    metric: str
    bytes_text: str
    culprit: CulpritView


@dataclass(frozen=True, slots=True)
class Section:
    """One list of lines of a phase: what stayed, what was there at the peak, what was freed."""

    title: str
    metric: str
    total_text: str
    culprits: tuple[CulpritView, ...]


@dataclass(frozen=True, slots=True)
class PhaseRow:
    index: int
    name: str
    kind: str
    depth: int
    repeats_text: str
    duration_text: str
    rss_delta_text: str
    rss_tone: str
    rss_bar: float
    heap_delta_text: str
    heap_tone: str
    heap_bar: float
    peak_text: str
    explained_text: str
    explained_tone: str
    culprit: CulpritView | None
    complete: bool
    worst_text: str
    trend: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    program: str
    verdict: str
    headline: str
    outcome: str
    evidence: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    findings: tuple[FindingView, ...]
    more_findings: tuple[FindingView, ...]
    more_findings_text: str
    no_findings: str
    timeline: Timeline | None
    phases: tuple[PhaseRow, ...]
    hidden_phases: str | None
    payload: str
    version: str


def page(report: Report, payload: str) -> Page:
    """The page of ``report``; ``payload`` is the JSON for its scripts."""
    run = report.run
    shown = most_telling(report.phases, MAX_ROWS)
    hidden = len(report.phases) - len(shown)
    cards = tuple(_finding(report, rank, item) for rank, item in enumerate(report.findings, 1))
    return Page(
        title=f"{run.name} · memdeep",
        program=" ".join(run.command),
        verdict=_verdict(run.exit),
        headline=words.headline(report),
        outcome=words.outcome(report),
        evidence=run.exit.evidence if run.exit is not None else (),
        facts=_facts(report),
        notes=words.notes(report),
        findings=cards[:OPEN_FINDINGS],
        more_findings=cards[OPEN_FINDINGS:],
        more_findings_text=units.count(len(cards[OPEN_FINDINGS:]), "more finding"),
        no_findings=words.no_findings(report),
        timeline=timeline.lay_out(report),
        phases=_rows(report, shown),
        hidden_phases=f"{units.count(hidden, 'smaller phase')} can be found in report.json."
        if hidden
        else None,
        payload=payload,
        version=__version__,
    )


def most_telling(phases: Sequence[Phase], most: int) -> tuple[int, ...]:
    """The indices of the ``most`` phases that moved most memory, with those around them."""

    chosen: set[int] = set()
    ranked = sorted(range(len(phases)), key=lambda place: phases[place].moved_bytes, reverse=True)
    for place in ranked:
        line = [place]
        while (parent := phases[line[-1]].outline.parent) is not None:
            line.append(parent)
        if len(chosen.union(line)) <= most:
            chosen.update(line)
    return tuple(sorted(chosen))


def _verdict(end: Exit | None) -> str:
    return end.verdict if end is not None and end.verdict in VERDICTS else "unknown"


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    run = report.run
    mode = [run.mode.backend]
    if run.mode.native:
        mode.append("native stacks")
    if run.mode.python_allocators:
        mode.append("Python allocators")
    facts = [
        ("Peak RSS", units.size(run.peak_rss_bytes)),
        ("Peak heap", units.size(report.heap.peak_bytes)),
        ("Duration", units.duration(run.duration_s)),
        ("Exit", words.exit_facts(run.exit)),
        ("Checkpoints", f"{len(run.checkpoints) - 2:,}"),
        ("Recorded with", ", ".join(mode)),
        ("Python", run.python or units.UNKNOWN),
        ("memray", run.memray or units.UNKNOWN),
        ("Started", _moment(run.started)),
    ]
    if len(run.processes) > 1:
        facts.append(("Processes", f"{len(run.processes):,}"))
    return tuple(facts)


def _moment(iso: str | None) -> str:
    """``2025-11-20 10:30:48``, in the zone it was recorded in."""
    return units.UNKNOWN if iso is None else iso[:19].replace("T", " ")


def _rows(report: Report, shown: Sequence[int]) -> tuple[PhaseRow, ...]:
    phases = [report.phases[place] for place in shown]
    deltas = [delta for p in phases for delta in (p.rss_delta_bytes, p.heap_delta_bytes)]
    largest = max([1] + [abs(delta) for delta in deltas if delta is not None])
    return tuple(_row(report, place, largest) for place in shown)


def _row(report: Report, place: int, largest_bytes: int) -> PhaseRow:
    phase = report.phases[place]
    return PhaseRow(
        index=place,
        name=phase.name,
        kind=phase.outline.kind.value,
        depth=phase.outline.depth,
        repeats_text=f"× {phase.repeats:,}" if phase.repeats > 1 else "",
        duration_text=units.duration(phase.duration_s),
        rss_delta_text=units.signed_size(phase.rss_delta_bytes),
        rss_tone=_tone(phase.rss_delta_bytes),
        rss_bar=_bar(phase.rss_delta_bytes, largest_bytes),
        heap_delta_text=units.signed_size(phase.heap_delta_bytes),
        heap_tone=_tone(phase.heap_delta_bytes),
        heap_bar=_bar(phase.heap_delta_bytes, largest_bytes),
        peak_text=units.size(words.peak_bytes(phase)),
        explained_text=units.percent(phase.explained_ratio),
        explained_tone=_explained_tone(phase.explained_ratio),
        culprit=None if phase.main_culprit is None else _culprit(report, phase.main_culprit),
        complete=phase.complete,
        worst_text=_worst(phase),
        trend=_trend(phase),
        sections=_sections(report, phase),
    )


def _sections(report: Report, phase: Phase) -> tuple[Section, ...]:
    heap = phase.heap
    if heap is None:
        return ()
    lists = (
        ("Retained", "retained", heap.retained_bytes, heap.culprits),
        ("At the peak", "peak", heap.peak.bytes, heap.peak_culprits),
        ("Freed", "freed", heap.freed_bytes, heap.freed_culprits),
    )
    return tuple(
        Section(
            title,
            metric,
            units.size(total),
            tuple(_culprit(report, culprit) for culprit in culprits[:MAX_CULPRITS_SHOWN]),
        )
        for title, metric, total, culprits in lists
    )


def _finding(report: Report, rank: int, item: Finding) -> FindingView:
    return FindingView(
        rank=rank,
        title=words.finding(report, item),
        advice=None if item.advice is None else words.ADVICE[item.advice],
        phase_index=item.phase,
        phase_name=report.phases[item.phase].name,
        metric="peak" if item.kind is FindingKind.PEAK else "retained",
        bytes_text=units.size(item.bytes),
        culprit=_culprit(report, item.culprit),
    )


def _culprit(report: Report, culprit: Culprit) -> CulpritView:
    frame = culprit.frame
    return CulpritView(
        location=words.location(frame),
        path=frame.filename,
        function=frame.function,
        source=report.sources.get((frame.filename, frame.lineno)),
        bytes_text=units.size(culprit.bytes),
        share_text=units.percent(culprit.share),
        share=round(culprit.share, 4),
        allocations_text=units.count(culprit.allocations, "allocation"),
        stack=tuple(
            StackFrameView(
                function=called.function,
                location=words.location(called),
                path=called.filename,
                origin=called.origin.value,
                source=report.sources.get((called.filename, called.lineno)),
            )
            for called in report.heap.tree.stack(culprit.node)
        ),
    )


def _tone(delta: int | None) -> str:
    if delta is None:
        return "unknown"
    return "flat" if delta == 0 else "up" if delta > 0 else "down"


def _bar(delta: int | None, largest_bytes: int) -> float:
    return round(100 * abs(delta or 0) / largest_bytes, 1)


def _explained_tone(ratio: float | None) -> str:
    if ratio is None:
        return "none"
    return "low" if ratio < LOW_RATIO else "good" if ratio >= GOOD_RATIO else "fair"


def _worst(phase: Phase) -> str:
    known = [delta for delta in phase.rss_deltas_bytes if delta is not None]
    if phase.repeats == 1 or not known:
        return ""
    return f"worst {units.signed_size(max(known))}"


def _trend(phase: Phase) -> str:
    """RSS growth of each repeat, as points in a box of 100 by 20; the worst of each group."""
    known = [delta for delta in phase.rss_deltas_bytes if delta is not None]
    if phase.repeats == 1 or len(known) < 2:
        return ""
    size = -(-len(known) // MAX_TREND_POINTS)
    values = [max(known[start : start + size]) for start in range(0, len(known), size)]
    low, high = min(0, *values), max(1, *values)
    step = TREND_WIDTH / max(1, len(values) - 1)
    return " ".join(
        f"{place * step:.1f},{TREND_HEIGHT * (high - value) / (high - low):.1f}"
        for place, value in enumerate(values)
    )
