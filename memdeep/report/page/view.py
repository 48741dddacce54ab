"""The view model of the page: all that it shows without its scripts.

Figures are text already, sentences are in every language of the page. Where a thing stands on the
page is up to the templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from memdeep.analysis.repeats import unrepeated_stack
from memdeep.analysis.table import Row, most_telling, rows
from memdeep.analysis.weights import small, through
from memdeep.frozen import frozen, replace
from memdeep.model import (
    DETACHED,
    Culprit,
    Death,
    Finding,
    FindingKind,
    Frame,
    Phase,
    Report,
    Run,
)
from memdeep.report import dying, fates, frame_names, holding, sentences, workers
from memdeep.report.page import across_table, holders, layers, payload, process_table, timeline
from memdeep.report.page.across_table import AcrossTable
from memdeep.report.page.facts import Fact, facts
from memdeep.report.page.holders import HolderLink, HoldersView
from memdeep.report.page.process_table import ProcessTable
from memdeep.report.page.timeline import Timeline
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.version import __version__

MAX_ROWS = 40
OPEN_FINDINGS = 3
CONTEXT_LINES = 3
MAX_ALIVE = 5
MIN_ALIVE_SHARE = 0.01
GOOD_RATIO = 0.9
LOW_RATIO = 0.6
LARGE_SHARE, SMALL_SHARE = 0.1, 0.01  # of the largest change of all phases

Texts = Mapping[str, str]  # a sentence by code of the language
Say = Callable[[Callable[[Language], str]], Texts]


@frozen
class StackFrameView:
    """A frame of the stack of a culprit; the texts at its end are empty where they do not apply."""

    function: str
    location: str
    path: str
    origin: str
    source: str | None
    is_here: bool
    share_text: str  # of the bytes of the line, where it is less than that of the call before
    times_text: str  # the laps of a recursion that it stands for


@frozen
class CodeLine:
    """A source line; ``is_here`` marks the line charged."""

    number: int
    text: str
    is_here: bool


@frozen
class CulpritView:
    """The line that a finding is charged to, with the code around it and its stack."""

    location: str
    path: str
    function: str
    code: tuple[CodeLine, ...]
    allocations: int
    stack: tuple[StackFrameView, ...]
    depth: int  # of the stack, all laps of a recursion counted
    branch: Texts | None


@frozen
class AdviceView:
    """An advice and what it rests on."""

    text: Texts
    evidence: Texts


@frozen
class FindingView:
    """A card of the findings."""

    rank: int
    title: Texts
    is_headline: bool
    phase_index: int
    phase_name: Texts
    metric: str
    bytes_text: str
    share: Texts
    culprit: CulpritView | None
    workers: Texts | None
    passed: Texts | None
    held: Texts | None
    holder: HolderLink | None
    fate: Texts | None
    advice: AdviceView | None


@frozen
class LineView:
    """A line of the program and the bytes charged to it."""

    bytes_text: str
    share_text: str
    location: str
    path: str
    source: str | None


@frozen
class DeathView:
    """A death: its place, the bytes alive then, the lines that held most, the last growth."""

    place: Texts
    alive: Texts
    lines: tuple[LineView, ...]
    last_growth: Texts | None


@frozen
class PhaseRow:
    """A row of the table of phases."""

    name: Texts
    kind: str
    depth: int
    repeats_text: str
    duration_text: str
    rss_delta_text: str
    rss_tone: str
    workers_text: Texts | None  # None where no phase of the run had workers
    heap_delta_text: str
    heap_tone: str
    peak_text: str
    explained_text: str
    explained_tone: str
    culprit_text: str
    complete: bool


@frozen
class Page:
    """All that the page shows."""

    title: str
    program: str
    verdict: str
    status: str
    headline: Texts
    charged: CulpritView | None
    charged_source: str | None
    outcome: Texts
    evidence: tuple[Texts, ...]
    death: DeathView | None
    stack_dumps: tuple[Texts, ...]
    facts: tuple[Fact, ...]
    notes: tuple[Texts, ...]
    findings: tuple[FindingView, ...]
    more_findings: tuple[FindingView, ...]
    no_findings: Texts
    timeline: Timeline | None
    band_names: Mapping[int, Texts]  # by index of the phase
    layer_names: tuple[Texts, ...]
    phases: tuple[PhaseRow, ...]
    holders: HoldersView | None
    across: AcrossTable | None
    processes: ProcessTable | None
    hidden_phases: int
    blocks: Mapping[str, str]
    version: str
    timeline_id: str = "timeline"
    timeline_heading: str | Texts = "timeline.heading"


def page(report: Report, blocks: Mapping[str, str], languages: Sequence[Language]) -> Page:
    """Return the page of ``report``; ``blocks`` are the packed data for its scripts."""
    run = report.run
    folded = rows(report.phases, report.patterns)
    shown = most_telling(folded, MAX_ROWS)
    stacked = layers.stacked(report)
    drawn = timeline.lay_out(report, stacked)

    def say(sentence: Callable[[Language], str]) -> Texts:
        return {language.code: sentence(language) for language in languages}

    cards = tuple(_finding(report, rank, item, say) for rank, item in enumerate(report.findings, 1))
    large = [rank for rank, is_small in enumerate(small(report), 1) if not is_small]
    opened = set(large[:OPEN_FINDINGS])
    most = _largest_change(report.phases)
    with_workers = any(map(workers.has_workers, report.phases))
    notes = [sentences.notes(report, language) for language in languages]
    return Page(
        title=f"{run.name} · memdeep",
        program=" ".join(run.command) if run.earlier_s is None else run.name,
        verdict=_verdict(run),
        status=sentences.exit_facts(run.exit),
        headline=say(lambda language: sentences.headline(report, language)),
        charged=cards[0].culprit if cards else None,
        charged_source=_charged_source(report),
        outcome=say(lambda language: sentences.outcome(report, language)),
        evidence=tuple(
            say(partial(sentences.statement, stated))
            for stated in ([] if run.exit is None else run.exit.evidence)
        ),
        death=None if report.death is None else _death(report, report.death, say),
        stack_dumps=tuple(say(partial(dying.stack_dump, dump)) for dump in run.stack_dumps),
        facts=facts(report, languages),
        notes=tuple(
            {language.code: text for language, text in zip(languages, note, strict=True)}
            for note in zip(*notes, strict=True)
        ),
        findings=tuple(card for card in cards if card.rank in opened),
        more_findings=tuple(card for card in cards if card.rank not in opened),
        no_findings=say(lambda language: sentences.no_findings(report, language)),
        timeline=drawn,
        band_names=band_names(report, drawn, say),
        layer_names=layer_names(report, stacked, say),
        phases=tuple(_row(report, folded[place], say, most, with_workers) for place in shown),
        holders=holders.lay_out(report, languages),
        across=across_table.lay_out(report, say),
        processes=process_table.lay_out(report, say, languages),
        hidden_phases=sum(row.phases for place, row in enumerate(folded) if place not in shown),
        blocks=blocks,
        version=__version__,
    )


def band_names(report: Report, drawn: Timeline | None, say: Say) -> Mapping[int, Texts]:
    """Return the names of the phases that the timeline has bands of, by their indices."""
    return {
        band.index: say(partial(sentences.phase_label, report.run, report.phases[band.index]))
        for band in ([] if drawn is None else drawn.bands)
    }


def layer_names(report: Report, stacked: layers.Layers | None, say: Say) -> tuple[Texts, ...]:
    """Return the names of the layers of the timeline."""
    shown = () if stacked is None else stacked.layers
    return tuple(say(partial(layers.label, report, layer)) for layer in shown)


def _death(report: Report, death: Death, say: Say) -> DeathView:
    growth = death.last_growth
    telling = [item for item in death.culprits if item.share >= MIN_ALIVE_SHARE]
    return DeathView(
        place=say(lambda language: dying.place(report, death, language)),
        alive=say(lambda language: dying.alive(report, death, language)),
        lines=tuple(
            LineView(
                bytes_text=units.size(item.bytes),
                share_text=units.percent(item.share),
                location=frame_names.location(item.frame),
                path=item.frame.filename,
                source=report.source(item.frame),
            )
            for item in (telling or death.culprits[:1])[:MAX_ALIVE]
        ),
        last_growth=None
        if growth is None
        else say(lambda language: dying.last_growth(report, growth, language)),
    )


def _row(report: Report, row: Row, say: Say, most: int, with_workers: bool) -> PhaseRow:
    phase = row.phase
    culprit = phase.main_culprit
    label = sentences.pattern_label if row.is_pattern else sentences.phase_label
    return PhaseRow(
        name=say(partial(label, report.run, phase)),
        kind=phase.outline.kind.value,
        depth=row.depth,
        repeats_text=f"× {row.times:,}" if row.times > 1 else "",
        duration_text=units.duration(phase.duration_s),
        rss_delta_text=units.signed_size(phase.rss_delta_bytes),
        rss_tone=_tone(phase.rss_delta_bytes, most),
        workers_text=say(lambda language: workers.figure(report.run, phase, language))
        if with_workers
        else None,
        heap_delta_text=units.signed_size(phase.heap_delta_bytes),
        heap_tone=_tone(phase.heap_delta_bytes, most),
        peak_text=units.size(phase.peak_bytes),
        explained_text=units.percent(phase.explained_ratio),
        explained_tone=_explained_tone(phase.explained_ratio),
        culprit_text=units.UNKNOWN if culprit is None else frame_names.location(culprit.frame),
        complete=phase.complete,
    )


def _finding(report: Report, rank: int, item: Finding, say: Say) -> FindingView:
    advised = item.advice is not None
    held = say(lambda language: holding.held(report, item, language))
    return FindingView(
        rank=rank,
        title=say(lambda language: sentences.finding(report, item, language)),
        is_headline=rank == 1,
        phase_index=_linked(report, item),
        phase_name=say(partial(sentences.finding_name, report, item)),
        metric="peak" if item.kind is FindingKind.PEAK else "retained",
        bytes_text=units.size(item.bytes),
        share=say(lambda language: sentences.share(item, language)),
        culprit=None if item.culprit is None else _culprit(report, item.culprit, say),
        workers=_if_said(say(lambda language: workers.moved_in(report, item, language))),
        held=_if_said(held),
        holder=holders.link(report, item, held),
        passed=_if_said(say(lambda language: fates.passed(report, item, language))),
        fate=_if_said(say(lambda language: fates.fate(report, item, language))),
        advice=AdviceView(
            text=say(lambda language: sentences.advice(item, language)),
            evidence=say(lambda language: sentences.evidence(item, language)),
        )
        if advised
        else None,
    )


def _charged_source(report: Report) -> str | None:
    if not report.findings or report.findings[0].culprit is None:
        return None
    return report.source(report.findings[0].culprit.frame)


def _if_said(texts: Texts) -> Texts | None:
    return texts if any(texts.values()) else None


def _linked(report: Report, item: Finding) -> int:
    """Return the row that a finding is about: its phase, or the pattern that has all of them."""
    table = payload.table_of(report)
    if len(item.phases) > 1:
        for number, pattern in enumerate(table.patterns):
            if set(item.phases) <= set(pattern.members):
                return table.index(number)
    return item.phase


def _culprit(report: Report, culprit: Culprit, say: Say) -> CulpritView:
    frame, branch = culprit.frame, culprit.branch_bytes
    called = report.heap.tree.stack(culprit.node)
    numbers = {one: place for place, one in enumerate(called)}
    held = through(culprit, called)
    return CulpritView(
        location=frame_names.location(frame),
        path=frame.filename,
        function=frame_names.function_name(frame),
        code=_code(report, frame),
        allocations=culprit.allocations,
        stack=tuple(
            replace(
                _stack_frame(report, called[place], called[place] == frame),
                share_text=units.percent(held[place] / culprit.bytes)
                if held[place] < (held[place - 1] if place else culprit.bytes)
                else "",
                times_text=f"× {times:,}" if times > 1 else "",
            )
            for place, times in unrepeated_stack([numbers[one] for one in called])
        ),
        depth=len(called),
        branch=None
        if not branch or branch[-1] == culprit.bytes
        else say(
            lambda language: language.say(
                "culprit.branch", share_share=branch[-1] / culprit.bytes, size_bytes=branch[-1]
            )
        ),
    )


def _code(report: Report, frame: Frame) -> tuple[CodeLine, ...]:
    """Return the lines around that of ``frame``, without blank ones at their ends."""
    around = report.around(frame, CONTEXT_LINES)
    told = [n for n, (number, text) in enumerate(around) if text.strip() or number == frame.lineno]
    return (
        tuple(
            CodeLine(number, text, number == frame.lineno)
            for number, text in around[told[0] : told[-1] + 1]
        )
        if told
        else ()
    )


def _stack_frame(report: Report, called: Frame, is_here: bool) -> StackFrameView:
    function = frame_names.function_name(called)
    # An unknown function is named after its file already.
    is_told = function == f"<unknown in {frame_names.file_name(called.filename)}>"
    return StackFrameView(
        function=frame_names.shortened(function),
        location="" if is_told else frame_names.shortened(frame_names.location(called)),
        path=called.filename,
        origin=called.origin.value,
        source=report.source(called),
        is_here=is_here,
        share_text="",
        times_text="",
    )


def _largest_change(phases: Sequence[Phase]) -> int:
    """Return the largest growth, or fall, of the RSS or of the heap in a phase."""
    rss = [phase.rss_delta_bytes for phase in phases]
    heap = [phase.heap.delta_bytes for phase in phases if phase.heap is not None]
    return max(map(abs, filter(None, [*rss, *heap])), default=0)


def _tone(delta: int | None, most: int) -> str:
    """Return the classes of a change: its colour is loud by its share of the largest, ``most``."""
    if delta is None:
        return "unknown"
    if delta == 0:
        return "flat"
    tone, share = "up" if delta > 0 else "down", abs(delta) / most
    weight = "" if share >= LARGE_SHARE else " is-fair" if share >= SMALL_SHARE else " is-slight"
    return tone + weight


def _explained_tone(ratio: float | None) -> str:
    if ratio is None:
        return "none"
    return "low" if ratio < LOW_RATIO else "good" if ratio >= GOOD_RATIO else "fair"


def _verdict(run: Run) -> str:
    """Return the verdict that the page shows, by which its colours are chosen."""
    verdict = sentences.verdict(run.exit)
    return "recorded" if sentences.went_on(run) and verdict != DETACHED else verdict
