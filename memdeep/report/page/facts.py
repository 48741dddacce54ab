"""The facts of a run: its command, how it was recorded, how it ended, the files it left."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from memdeep.analysis.weights import much_reserved
from memdeep.frozen import frozen
from memdeep.model import Report
from memdeep.report import sentences
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.version import __version__

PAGE_SIZE = "(size of this page)"  # which `html` replaces by the size
IN_MEMRAY = ("memray stats", "memray flamegraph", "memray flamegraph --temporal")


@frozen
class Fact:
    """A fact: a text, or commands (``code``) in its place.

    ``name`` is a key of the words, after ``facts.``. A text that has words in it is given by code
    of the language.
    """

    name: str
    text: str | Mapping[str, str] = ""
    code: tuple[str, ...] = ()


def facts(report: Report, languages: Sequence[Language]) -> tuple[Fact, ...]:
    """Return the facts to show, including some that are unknown."""
    run = report.run
    mode = [run.mode.backend]
    if run.mode.native:
        mode.append("--native")
    if run.mode.python_allocators:
        mode.append("--trace-python-allocators")
    mode.extend(run.mode.focus)
    of_all = []
    if run.peak_pss_bytes is not None and len(run.processes) > 1:
        of_all.append(Fact("peak_pss", units.size(run.peak_bytes)))
    # The sum of several heaps is known at some moments; the curve adds up readings beside them.
    is_sum = bool(report.heap.processes)
    heap = "peak_heap_of_all" if is_sum else "peak_heap"
    reserved = much_reserved(report)
    peaks = [
        Fact("peak_rss", units.size(run.peak_rss_bytes)),
        Fact(heap, units.size(report.heap.peak_bytes)),
    ]
    found = [
        *of_all,
        *(reversed(peaks) if sentences.went_on(run) else peaks),  # its RSS says little
        *([] if reserved is None else [Fact("peak_heap_reserved", units.size(reserved))]),
        *([Fact("peak_heap_known", _in_all(languages, "facts.peak_heap_at"))] if is_sum else []),
        Fact("duration", units.duration(run.duration_s)),
        *([] if sentences.went_on(run) else [Fact("exit", sentences.exit_facts(run.exit))]),
        Fact("checkpoints", f"{len(run.checkpoints) - 2:,}"),
        Fact("recorded_with", " ".join(mode)),
        Fact("python", run.python or units.UNKNOWN),
        Fact("memray", run.memray or units.UNKNOWN),
        Fact("memdeep", __version__),
        Fact("started", _moment(run.started)),
        Fact("processes", f"{len(run.processes):,}" if run.processes else units.UNKNOWN),
        Fact("command", code=(" ".join(run.command),)),
    ]
    if run.identity is not None and run.identity.commit is not None:
        revisions = {item.code: sentences.revision(run.identity, item) for item in languages}
        found.append(Fact("commit", revisions))
    if run.limit is not None:
        limits = {item.code: sentences.memory_limit(run.limit, item) for item in languages}
        found.append(Fact("limit", limits))
    for capture in run.captures:
        found.append(Fact("capture", f"{capture.path} · {units.size(capture.bytes)}"))
    found.append(Fact("page", PAGE_SIZE))
    for capture in (one for one in run.captures if one.is_whole):
        path = shlex.quote(capture.path)
        commands = tuple(f"{command} {path}" for command in IN_MEMRAY)
        found.append(Fact("in_memray", code=commands))
    return tuple(found)


def _in_all(languages: Sequence[Language], key: str) -> dict[str, str]:
    return {language.code: language.say(key) for language in languages}


def _moment(iso: str | None) -> str:
    """Return a time as ``2025-11-20 10:30:48``, in the zone it was recorded in."""
    return units.UNKNOWN if iso is None else iso[:19].replace("T", " ")
