"""Finds the phases that an export is asked for, and refuses what it could not hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence, Set
from fnmatch import fnmatchcase

from memdeep.analysis.accounts import Metric
from memdeep.errors import EXIT_BAD_DATA, EXIT_USAGE, MemdeepError
from memdeep.model import Phase, Report
from memdeep.report.exports.formats import FORMATS, Format
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import paths_of
from memdeep.text.safe import plain

MAX_NAMED = 8
MAX_CHARACTERS = 80  # of a path in a sentence
LIKE = 0.5  # by this much a name is near to another


def of_phase(report: Report, wanted: str, into: Format) -> ExportOptions:
    """Return as options the phases that ``wanted`` names, in all processes, and all inside them.

    Of processes that the program started, all of a name are meant. Raises MemdeepError as `chosen`
    does, and if they are of processes alone, whose phases the format has not.
    """
    own = {
        process: _with_insides(one.phases, places)
        for process, one in report.own_reports.items()
        if (places := _any_places(one.phases, wanted))
    }
    if own and not _any_places(report.phases, wanted):
        if into.has_own:
            return ExportOptions(frozenset(), own=own)
        first = report.run.processes[next(iter(own))]
        raise MemdeepError(
            f"{_short(plain(wanted))} is a phase of processes that the program started, of which "
            f"{into.name} has no phases.",
            f"Export one of them: {first.directory} in the run directory is a run as well.",
            EXIT_USAGE,
        )
    return ExportOptions(chosen(report, wanted), own=own if into.has_own else {})


def _any_places(phases: Sequence[Phase], wanted: str) -> list[int]:
    """Return the phases that have a path or a name, or else those that a pattern matches."""
    paths, word = paths_of(phases), plain(wanted)
    names = [plain(phase.name) for phase in phases]
    return (
        _places(paths, word)
        or _places(names, word)
        or [
            place
            for place in range(len(phases))
            if fnmatchcase(paths[place], word) or fnmatchcase(names[place], word)
        ]
    )


def chosen(report: Report, wanted: str) -> Set[int]:
    """Return the phases of the program (indices) that ``wanted`` names, and all inside them.

    It is a path, the name of one phase, or a pattern of either with ``*``, ``?`` or ``[…]``. Raises
    MemdeepError if there is none, or if a name is that of several.
    """
    phases = report.phases
    paths, word = paths_of(phases), plain(wanted)
    names = [plain(phase.name) for phase in phases]
    found = _places(paths, word) or _places(names, word)
    if len(found) > 1:
        raise MemdeepError(
            f"{len(found)} phases are called {_short(word)}.",
            f"Name one by its path: {_listed(paths[place] for place in found)}.",
            EXIT_USAGE,
        )
    found = found or _any_places(phases, wanted)
    if not found:
        of_others = [path for one in report.own_reports.values() for path in paths_of(one.phases)]
        known = [*dict.fromkeys([*paths, *of_others])]
        raise MemdeepError(f"No phase is called {_short(word)}.", _hint(word, known), EXIT_USAGE)
    return _with_insides(phases, found)


def refuse(report: Report, into: Format, options: ExportOptions) -> None:
    """Raise MemdeepError if the run does not have what the format would hold."""
    if into.needs_heap and not any(size is not None for size in report.heap.at_checkpoints):
        others = ", ".join(one.name for one in FORMATS if not one.needs_heap)
        raise MemdeepError(
            "No allocations were traced in this run, so that there are no stacks to export.",
            f"Formats that hold other figures too: {others}.",
            EXIT_BAD_DATA,
        )
    if not into.needs_heap:
        return
    if options.metric is Metric.ALLOCATED and report.heap.transients is None:
        raise MemdeepError(
            "It is not known what this run allocated in all: only what was alive at a checkpoint.",
            "Choose another figure: --metric kept, retained, freed or peak.",
            EXIT_BAD_DATA,
        )
    phases = [phase for place, phase in enumerate(report.phases) if options.has(place)]
    if phases and options.phases is not None and all(phase.heap is None for phase in phases):
        raise MemdeepError(
            f"The heap of {_short(plain(phases[0].name))} is not known: not all of it was traced.",
            "Export the whole run, or another phase.",
            EXIT_BAD_DATA,
        )


def _places(texts: Sequence[str], wanted: str) -> list[int]:
    return [place for place, text in enumerate(texts) if text == wanted]


def _with_insides(phases: Sequence[Phase], found: Iterable[int]) -> Set[int]:
    within = set(found)
    for place, phase in enumerate(phases):  # those around come before those inside
        if phase.outline.parent in within:
            within.add(place)
    return frozenset(within)


def _hint(wanted: str, paths: Sequence[str]) -> str:
    if not paths:
        return "This run has no phases."
    holding = [path for path in paths if wanted and wanted in path]
    near = holding or difflib.get_close_matches(wanted, paths, MAX_NAMED, LIKE)
    if near:
        return f"Did you mean {_listed(near)}?"
    return f"The phases are {_listed(paths)}."


def _listed(paths: Iterable[str]) -> str:
    known = [_short(path) for path in paths]
    more = len(known) - MAX_NAMED
    return ", ".join(known[:MAX_NAMED]) + (f" … (+{more:,})" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"
