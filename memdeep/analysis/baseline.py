"""The figures of a run as a baseline, a later run held against it, and the baseline brought up.

Figures may rise by the noise of `noise`, which only memray with every small object traced makes
small: those of tracemalloc differ by far more. The RSS of a phase is left out: of all figures it
varies most between runs of one program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memdeep.analysis import noise
from memdeep.analysis.budgets import Readings, blamed, state_of
from memdeep.frozen import frozen
from memdeep.model import PhaseKind, Report
from memdeep.model.budget import (
    OF_FIGURE,
    Baseline,
    Check,
    Note,
    NoteKind,
    Rule,
    State,
    Unknown,
    Verdict,
)
from memdeep.model.comparison import Figure
from memdeep.model.run import Mode

# A phase's peak is left out: one early change alters that of every later phase.
FIGURES_OF_PHASE = (Figure.GROWTH, Figure.RISE, Figure.ALLOCATIONS)
NAMED = 3  # phases that a note names


def baseline_of(report: Report) -> Baseline:
    """Return the figures of a run that are known: of the whole, and of its phases in order.

    Phases are those that the program named. The stretches between its checkpoints are told only
    where it named none: beside others, a stretch where little moved is no phase.
    """
    figures = Readings(report)
    run = {figure: figures.of_run(check).value for figure, check in OF_FIGURE.items()}
    phases = {}
    for place in _lasting(report):
        readings = {
            figure: figures.of_phase(place, OF_FIGURE[figure]).value for figure in FIGURES_OF_PHASE
        }
        if known := _known(readings):
            phases[figures.paths[place]] = known
    return Baseline(
        python=_minor(report.run.python),
        memray=report.run.memray,
        mode=mode_of(report.run.mode),
        run=_known(run),
        phases=phases,
    )


def compared(
    report: Report, baseline: Baseline, rule: Rule, *, allow_missing: bool
) -> tuple[tuple[Verdict, ...], tuple[Note, ...]]:
    """Hold a run against ``baseline``, which stands at ``rule``; figures may always fall."""
    now = baseline_of(report)
    why = _incomparable(baseline, now)
    if why is not None:
        return (_whole(rule, why),), ()
    figures = Readings(report)
    deep = report.run.mode.python_allocators
    verdicts = []
    notes = []
    if baseline.memray != now.memray:
        both = {"before": baseline.memray or "–", "now": now.memray or "–"}
        notes.append(Note(NoteKind.OTHER_MEMRAY, both))
    for figure, before in baseline.run.items():
        verdicts.append(_verdict(figures, None, (figure, before), rule, deep=deep))
    places = {figures.paths[place]: place for place in _lasting(report)}
    gone = [path for path in baseline.phases if path not in places]
    for path, known in baseline.phases.items():
        if path in places:
            for figure, before in known.items():
                found = _verdict(figures, places[path], (figure, before), rule, deep=deep)
                verdicts.append(found)
    if not allow_missing:
        verdicts += [_whole(rule, Unknown.GONE, path) for path in gone]
    elif gone:
        notes.append(_naming(NoteKind.GONE, gone))
    if new := [path for path in now.phases if path not in baseline.phases]:
        notes.append(_naming(NoteKind.NEW, new))
    if less := sum(_is_less(verdict, deep=deep) for verdict in verdicts):
        notes.append(Note(NoteKind.LESS, {"n": less}))
    return tuple(blamed(report, verdict) for verdict in verdicts), tuple(notes)


def mode_of(mode: Mode) -> str:
    """Say how a run was recorded, as far as its figures depend on it."""
    deep = ["deep"] if mode.python_allocators else []
    return ", ".join([mode.backend, *deep, *(f"focus {name}" for name in mode.focus)])


@frozen
class Update:
    """One figure that a baseline takes over; None before or after for what was not or is not there.

    ``path`` is "" for the run; ``figure`` is None for a phase as a whole.
    """

    path: str
    figure: Figure | None
    before: int | None
    after: int | None


def updated(old: Baseline | None, now: Baseline, *, deep: bool) -> tuple[Baseline, list[Update]]:
    """Return ``old`` with the figures of ``now`` that differ by more than noise, and these.

    Where nothing does, it is ``old`` itself; where the two cannot be compared, it is ``now``.
    """
    if old is None or _incomparable(old, now) is not None:
        return now, []
    updates: list[Update] = []
    run = _merged("", old.run, now.run, updates, deep=deep)
    phases = {}
    for path, figures in now.phases.items():
        before = old.phases.get(path)
        if before is None:
            updates.append(Update(path, None, None, figures.get(Figure.GROWTH)))
            phases[path] = figures
        else:
            phases[path] = _merged(path, before, figures, updates, deep=deep)
    for path, figures in old.phases.items():
        if path not in now.phases:
            updates.append(Update(path, None, figures.get(Figure.GROWTH), None))
    if not updates and old.memray == now.memray:
        return old, []
    return Baseline(now.python, now.memray, now.mode, run, phases), updates


def _merged(
    path: str,
    before: Mapping[Figure, int],
    after: Mapping[Figure, int],
    updates: list[Update],
    *,
    deep: bool,
) -> Mapping[Figure, int]:
    merged = {}
    for figure, value in after.items():
        old = before.get(figure)
        if old is not None and abs(value - old) <= _tolerance(figure, old, value, deep=deep):
            merged[figure] = old
        else:
            merged[figure] = value
            updates.append(Update(path, figure, old, value))
    updates += [Update(path, one, before[one], None) for one in before if one not in after]
    return merged


def _verdict(
    figures: Readings, place: int | None, known: tuple[Figure, int], rule: Rule, *, deep: bool
) -> Verdict:
    figure, before = known
    check = OF_FIGURE[figure]
    reading = figures.of_run(check) if place is None else figures.of_phase(place, check)
    limit = before
    if reading.value is not None:
        limit += int(_tolerance(figure, before, reading.value, deep=deep))
    return Verdict(
        check=check,
        name="" if place is None else figures.paths[place],
        state=state_of(reading, limit),
        rule=rule,
        phase=place,
        limit=limit,
        value=reading.value,
        before=before,
        why=reading.why,
        culprit=reading.culprit,
    )


def _tolerance(figure: Figure, before: int, after: int, *, deep: bool) -> float:
    return noise.tolerance(figure, is_deep=deep).of(before, after)


def _is_less(verdict: Verdict, *, deep: bool) -> bool:
    if verdict.state is not State.WITHIN or verdict.before is None or verdict.value is None:
        return False
    figure = next(one for one, check in OF_FIGURE.items() if check is verdict.check)
    least = _tolerance(figure, verdict.before, verdict.value, deep=deep)
    return verdict.before - verdict.value > least


def _whole(rule: Rule, why: Unknown, name: str = "") -> Verdict:
    return Verdict(check=Check.BASELINE, name=name, state=State.UNKNOWN, rule=rule, why=why)


def _incomparable(before: Baseline, now: Baseline) -> Unknown | None:
    if before.mode != now.mode:
        return Unknown.OTHER_MODE
    return Unknown.OTHER_PYTHON if before.python != now.python else None


def _naming(kind: NoteKind, names: Sequence[str]) -> Note:
    return Note(kind, {"n": len(names), "names": ", ".join(names[:NAMED])})


def _lasting(report: Report) -> list[int]:
    spans = [
        place for place, phase in enumerate(report.phases) if phase.outline.kind is PhaseKind.SPAN
    ]
    return spans or [*range(len(report.phases))]


def _known(figures: Mapping[Figure, int | None]) -> dict[Figure, int]:
    return {figure: value for figure, value in figures.items() if value is not None}


def _minor(version: str | None) -> str | None:
    return None if version is None else ".".join(version.split(".")[:2])
