"""Loads the recording of a run: its facts, and the means to read its heap once phases are known."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.frozen import field, frozen, replace
from memdeep.heap import native_names
from memdeep.heap.choice import reader_of, reason_for_memray
from memdeep.heap.family import join_family, of_starter
from memdeep.heap.native_names import RunSymbols
from memdeep.heap.origins import Origins
from memdeep.heap.parts import HeapPart, Part, damage_of, join
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay import saved
from memdeep.heap.split import Fork, with_split_off
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.heap.tracemalloc import read_snapshots
from memdeep.loading import checkpoints
from memdeep.loading.children import Axis, Child, find_children, not_known, up_to, with_cuts
from memdeep.loading.code import origins_of, programs_of, read_cells
from memdeep.loading.ending import exit_of, limit_of, read_stack_dumps
from memdeep.loading.ends import still_running, successor_s
from memdeep.loading.journal import merged, read_journal, told_problems
from memdeep.loading.mapped import read_mappings
from memdeep.loading.missed import earlier_blocks, earlier_unknown, missed
from memdeep.loading.moments import Chosen, choose
from memdeep.loading.outside import (
    end_s,
    highest_rss,
    is_end_unseen,
    last_seen,
    lent_curve,
    memory_curve,
    seen_outside,
)
from memdeep.loading.own_runs import shared_symbols
from memdeep.loading.processes import Outside, highest_sum, read_processes
from memdeep.loading.split import find_split, not_asked, with_pages
from memdeep.loading.traced import Traced, align_parts, find_walked, lost
from memdeep.model import (
    RUNNING,
    CaptureFile,
    Checkpoint,
    Earlier,
    Exit,
    Heap,
    Mode,
    Process,
    Run,
    Sample,
    Stretch,
    Worker,
)
from memdeep.model.statement import Problem
from memdeep.record.how import MEMRAY, TRACEMALLOC
from memdeep.rundir import condensed, journal, mappings, runs, workers
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta, read_meta
from memdeep.sources import store as source_store
from memdeep.sources.lines import Sources
from memdeep.sources.programs import Program
from memdeep.symbols import store as symbol_store

MAX_PROBLEMS = 100


@frozen
class Recording:
    """A run, and all that is needed to read its heap.

    ``parts`` are its captures by memray, each with one of ``readers``; ``snapshots`` is the file of
    the tracemalloc backend, and ``places`` the checkpoint of each sequence number in it.
    ``start_ms`` is the start of the run since the epoch. ``sources`` are lines that were stored
    with the run, ``cells`` the sources of those of a notebook by their titles.
    ``is_capture`` is True for one capture without a run directory. ``children`` are the captures of
    the processes that the program started; ``moments`` are those that are asked for their heap,
    ``forks`` are those of them that split off pages. What was allocated after ``until_s`` is not
    counted. ``own_runs`` are the directories of the processes (indices) that set checkpoints
    themselves, ``programs`` what they executed.
    """

    run: Run
    parts: tuple[Part, ...]
    start_ms: int
    origins: Origins
    snapshots: Path | None = None
    places: Mapping[int, int] = field(default_factory=dict)
    readers: Mapping[Path, CaptureReader] = field(default_factory=dict)
    sources: Sources = field(default_factory=lambda: Sources({}))
    cells: Mapping[str, str] = field(default_factory=dict)
    is_capture: bool = False
    children: tuple[Child, ...] = ()
    moments: Chosen = Chosen()
    forks: tuple[Fork, ...] = ()
    until_s: float = math.inf
    own_runs: Mapping[int, RunDirectory] = field(default_factory=dict)
    programs: Mapping[int, Program] = field(default_factory=dict)

    def heap(self, groups: Sequence[Sequence[Stretch]], on_step: Callable[[str], None]) -> Heap:
        """Read the heap of all processes, with a peak for each group of stretches.

        A capture that cannot be read costs a run its part of the heap; raises CaptureError if it is
        all there is.
        """
        builder = StackTreeBuilder(self.origins)
        heaps: list[HeapPart] = [*of_starter(self.run, groups, self.moments.asked)]
        problems: list[Problem] = []
        if self.snapshots is not None:
            on_step("Reading the snapshots")
            try:
                read = read_snapshots(self.snapshots, self.places, groups, builder)
            except CaptureError as error:
                problems.append(lost(error))
            else:
                heaps += [] if read is None else [read]
        for part in self.parts:
            reader = self.readers[part.capture]
            try:
                read_part = reader.read_part(part, groups, builder, self.start_ms, on_step)
                heaps.append(up_to(read_part, self.until_s))
            except CaptureError as error:
                if self.is_capture:
                    raise
                problems.append(lost(error))
        problems += [problem for heap in heaps for problem in damage_of(heap)]
        problems += missed(heaps, self.run.checkpoints)
        children = []
        for child in self.children:
            pid = self.run.processes[child.process].pid
            try:
                read_child = child.read(builder, lambda step: None)
            except CaptureError as error:
                problems.append(not_known(error.message, pid))
                continue
            if read_child.part.damage is None:
                children.append(read_child)
            else:
                problems += [not_known(said, pid) for said in damage_of(read_child.part)]
        before = (heaps[0].earlier if heaps else Earlier()) if self.run.attached else None
        problems += earlier_unknown(before)
        own = join(heaps, builder.build(), len(self.run.checkpoints), groups, problems)
        own = replace(own, peak_bytes=None) if self.run.mode.others_only else own
        own = own if before is None else replace(own, earlier=before)
        at_moments = {number: alive for heap in heaps for number, alive in heap.at_moments.items()}
        replaced_s = successor_s(self.run.processes, [child.process for child in children])
        of_all = join_family(own, at_moments, children, groups, self.moments.asked, replaced_s)
        heaps += [child.part for child in children]
        in_ranges = {number: found for heap in heaps for number, found in heap.in_ranges.items()}
        return with_split_off(of_all, self.forks, in_ranges)


def load_run(run_dir: RunDirectory, until_ms: int | None = None) -> Recording:
    """Load a run directory; nothing in it is changed. Raises CaptureError.

    Files that are damaged, missing or of another run are left out, with a sentence on each. Of
    captures that are to be given back up to a time, ``until_ms`` is that: see `choose`.
    """
    meta = read_meta(run_dir)
    left = condensed.read(run_dir, saved.merges_of(run_dir.capture()))
    read = read_journal(run_dir.journal, left)
    events = read.events
    start = start_of(run_dir, events)
    outside, outside_problems = seen_outside(run_dir, meta, start, left.samples_left)
    samples, offset_s = outside.samples, outside.offset_s
    if meta.has_outlived:
        events = tuple(event for event in events if event.time_us / 1e6 <= outside.end_s)
    end = next((event for event in events if event.kind == journal.EXIT), None)
    traced = _traced(run_dir, events, start, meta)
    captures = _choose(run_dir, traced)
    points = checkpoints.join(
        start,
        traced.ordered,
        end,
        end_s=end_s(meta, samples) - offset_s,
        last_seen=last_seen(samples, start.pid, offset_s),
    )
    if end is None and is_end_unseen(meta, highest_rss(samples, points, offset_s)):
        points = checkpoints.without_rss_at_end(points)
    start_ms = start.epoch_ns // 1_000_000
    sources, sources_problem = source_store.read(run_dir.sources, meta.started)
    until_s = start_ms / 1000 + points[-1].time_s
    has_native = meta.native and bool(captures.parts)
    directories = directories_of(meta)
    names, names_problem = (
        _read_names(run_dir, until_s, directories) if has_native else (None, None)
    )
    cells = read_cells(run_dir)
    origins = origins_of(meta, cells)
    dumps, dumps_problem = read_stack_dumps(run_dir.stacks, start.pid, origins, offset_s)
    old, merged_problem = merged(left)
    places = places_of(traced.ordered, end)
    readings, mapped_problems = (
        read_mappings(run_dir, places, left.mappings) if captures.parts else ({}, [])
    )
    # Those that were merged have neither line nor marker.
    in_flight = traced.in_flight if left == condensed.NOTHING else 0
    problems = [
        *(*read.problems, read.missing_problem(in_flight)),
        *(*outside_problems, *traced.problems, *captures.problems),
        *(*mapped_problems, sources_problem, names_problem),
        *told_problems(events)[:MAX_PROBLEMS],
        merged_problem,
        dumps_problem,
    ]
    processes, births_problems = read_processes(run_dir, [start, *events], outside, origins)
    times_s = [point.time_s for point in points]
    processes = processes if until_ms is None else still_running(processes)
    chosen = choose(run_dir, processes, times_s, outside, until_ms)
    split = find_split(run_dir, processes, start, times_s, len(chosen.asked))
    processes = _with_workers(run_dir, with_pages(processes, split.forks))
    until_ns = start.monotonic_ns + outside.end_s * 1e9
    own_runs, processes = _own_runs(run_dir, processes, events, until_ns)
    children, children_problems = find_children(
        run_dir,
        processes,
        Axis(start, times_s, chosen.of_all, split.questions, frozenset(filter(None, problems))),
        names,
    )
    problems += [*births_problems, *children_problems, *split.problems, chosen.problem]
    ended = _exit(run_dir, outside, end, origins, is_cut=traced.beyond > 0)
    if ended is not None and ended.verdict == RUNNING:
        processes = still_running(processes)
    known_rss = [highest_rss(samples, points, offset_s), *(p.peak_rss_bytes for p in processes[1:])]
    run = replace(
        _run(meta, ended, points, memory_curve(samples, points, offset_s)),
        processes=processes
        if meta.processes or len(processes) > 1 or processes[0].worker is not None
        else (),
        merged=old,
        peak_rss_bytes=max(filter(None, known_rss), default=None),
        lent_curve=lent_curve(samples, start.pid, offset_s) if len(processes) > 1 else (),
        peak_pss_bytes=meta.peak_pss_bytes
        if meta.peak_pss_bytes is not None or not _has_shares(processes)
        else highest_sum(processes),
        captures=capture_files([part.capture for part in captures.parts]),
        stack_dumps=dumps,
        problems=tuple(dict.fromkeys((*meta.notes, *filter(None, problems)))),  # some are in both
    )
    walked = find_walked(run_dir, places)
    return Recording(
        run=run,
        parts=tuple(
            with_cuts(
                replace(
                    part,
                    threads=[point.thread for point in points],
                    walked=walked,
                    earlier=earlier_blocks(run_dir, meta) if part.first == 0 else b"",
                ),
                start_ms,
                [*chosen.of_all, *not_asked(chosen.forks, split.questions.get(0, ()))],
                split.questions.get(0, ()),
                outside.end_s if meta.has_outlived else None,
            )
            for part in captures.parts
        ),
        start_ms=start_ms,
        origins=origins,
        snapshots=run_dir.snapshots if meta.backend == TRACEMALLOC else None,
        places=places,
        sources=sources,
        cells={cell.title: cell.source for cell in cells.values()},
        readers=captures.readers(names, readings),
        children=children,
        own_runs=own_runs,
        programs=programs_of(run_dir, meta, processes, start),
        moments=chosen,
        forks=split.forks,
        until_s=outside.end_s if meta.has_outlived else math.inf,
    )


def _exit(
    run_dir: RunDirectory, seen: Outside, end: Event | None, origins: Origins, *, is_cut: bool
) -> Exit | None:
    """Return how the program ended, or that it runs: then whoever records it holds the run.

    If the journal ``is_cut``, its ``end`` may be lost.
    """
    if not seen.meta.is_over and end is None and runs.is_held(run_dir):
        return Exit(None, None, RUNNING)
    return exit_of(seen.meta, end, origins, seen.offset_s, is_cut=is_cut)


def _has_shares(processes: Sequence[Process]) -> bool:
    """Tell if there are several processes, and the PSS of any was read."""
    return len(processes) > 1 and any(one.peak_pss_bytes is not None for one in processes)


def _own_runs(
    run_dir: RunDirectory,
    processes: Sequence[Process],
    of_program: Sequence[Event],
    until_ns: float,
) -> tuple[dict[int, RunDirectory], tuple[Process, ...]]:
    """Find the directories of the processes that set checkpoints, as far as they can be read.

    Return with them the processes with the highest RSS of each that is known, from outside or at
    a checkpoint of its own before the run has ended, ``until_ns``.
    """
    own_runs, found = {}, []
    for place, process in enumerate(processes):
        events = () if place else of_program
        if process.directory is not None:
            own = RunDirectory(run_dir.path / process.directory)
            with suppress(CaptureError):
                events = read_journal(own.journal).events
        peak = process.peak_rss_bytes
        if any(event.kind in journal.CHECKPOINTS for event in events):
            if place:
                own_runs[place] = own
            peak = max(peak or 0, _highest(events, until_ns) or 0) or None
        found.append(process if peak is None else replace(process, peak_rss_bytes=peak))
    return own_runs, tuple(found)


def _highest(events: Sequence[Event], until_ns: float) -> int | None:
    """Return the highest RSS at the checkpoints, the start and the end among ``events``."""
    kinds = (journal.START, *journal.CHECKPOINTS, journal.EXIT)
    start_ns = next((one.monotonic_ns for one in events if one.kind == journal.START), 0)
    known = [
        one.rss_bytes or 0
        for one in events
        if one.kind in kinds and start_ns + 1000 * one.time_us <= until_ns
    ]
    return max(known, default=0) or None


def _with_workers(run_dir: RunDirectory, processes: Sequence[Process]) -> tuple[Process, ...]:
    """Return the processes with the part that each plays in a cluster, as far as it can be read.

    What a rank of a parallel program has started is not that rank too, though it says so.
    """
    found: list[Process] = []
    names: list[frozenset[str]] = []  # of each process and of those that it comes from
    for place, process in enumerate(processes):
        above = frozenset[str]() if process.parent is None else names[process.parent]
        is_recorded = place == 0 or process.directory is not None
        own = RunDirectory(run_dir.path / (process.directory or ""))
        worker = _worker(own) if is_recorded else None
        if worker is not None and worker.name in above:
            worker = None
        names.append(above if worker is None else above | {worker.name})
        found.append(replace(process, worker=worker))
    return tuple(found)


def _worker(run_dir: RunDirectory) -> Worker | None:
    content = None
    with suppress(CaptureError):
        content = read_if_there(run_dir.worker, workers.MAX_BYTES)
    read = None if content is None else workers.decode_worker(content)
    if read is None:
        return None
    ended = read.ended_bytes, read.for_others
    return Worker(read.name, read.address, read.threads, read.limit_bytes, *ended)


def start_of(run_dir: RunDirectory, events: Sequence[Event]) -> Event:
    """Find the start of the run among ``events``. Raises CaptureError if there is none."""
    for event in events:
        if event.kind == journal.START:
            return event
    raise CaptureError(
        f"Nothing was recorded in {run_dir.path}: the program ended before it began.",
        "Run the program without memdeep to see whether it starts.",
        EXIT_NO_INPUT,
    )


def _traced(run_dir: RunDirectory, events: Sequence[Event], start: Event, meta: Meta) -> Traced:
    """Put the checkpoints in program order; only memray's tracer left captures that tell it."""
    if meta.backend == MEMRAY:
        return align_parts(run_dir, events, start, is_over=meta.verdict is not None)
    return Traced([event for event in events if event.kind in checkpoints.KINDS])


@frozen
class _Captures:
    """The captures that can be read. ``reasons`` say why memray's reader must read one.

    ``changes`` gives, for each capture, the bytes to read in place of its markers.
    """

    parts: tuple[Part, ...]
    reasons: Mapping[Path, str | None]
    changes: Mapping[Path, Mapping[int, bytes]]
    problems: tuple[str, ...]

    def readers(
        self, names: RunSymbols | None, readings: Mapping[int, mappings.Reading]
    ) -> Mapping[Path, CaptureReader]:
        """Return the readers; ``readings`` are those of the mappings, by checkpoint."""
        return {
            part.capture: reader_of(
                part.capture,
                self.reasons[part.capture],
                self.changes[part.capture],
                names,
                readings,
            )
            for part in self.parts
        }


def _choose(run_dir: RunDirectory, traced: Traced) -> _Captures:
    """Find out which reader each capture needs, and leave out those that no reader knows."""
    reasons: dict[Path, str | None] = {}
    problems = []
    for part in traced.parts:
        try:
            reasons[part.capture] = reason_for_memray(part.capture)
        except CaptureError as error:
            problems.append(lost(error))
    problems += sorted({reason for reason in reasons.values() if reason is not None})
    return _Captures(
        parts=tuple(part for part in traced.parts if part.capture in reasons),
        reasons=reasons,
        changes={
            run_dir.capture(number): alignment.changes
            for number, alignment in traced.alignments.items()
        },
        problems=tuple(problems),
    )


def directories_of(meta: Meta) -> tuple[str, ...]:
    """Return the directories that a library's relative path may be relative to.

    Those are the working directories that the program was seen in. One that was in another for a
    moment was most likely where its own files are.
    """
    own = [path for path in meta.own_paths if os.path.isabs(path)]
    beside = [directory for path in own for directory in (os.path.dirname(path), path)]
    return tuple(dict.fromkeys([*meta.directories, *beside]))


def _read_names(
    run_dir: RunDirectory, until_s: float, directories: Sequence[str]
) -> tuple[RunSymbols | None, str | None]:
    """Read the stored names of native frames of the run that ended at ``until_s``."""
    if not native_names.is_installed():
        return None, None
    stored, problem = symbol_store.read(shared_symbols(run_dir).symbols)
    return RunSymbols(stored, until_s, directories), problem


def places_of(ordered: Sequence[Event], end: Event | None) -> dict[int, int]:
    """Return the place among the checkpoints of each sequence number."""
    events = [*ordered, *([end] if end is not None else [])]
    return {event.sequence: place for place, event in enumerate(events, 1)}


def capture_files(paths: Sequence[Path]) -> tuple[CaptureFile, ...]:
    """Return the captures by name and by the size of what is left of them on the disk."""
    return tuple(CaptureFile(path.name, *saved.left_of(path)) for path in paths)


def _run(
    meta: Meta,
    seen: Exit | None,
    points: tuple[Checkpoint, ...],
    rss_curve: tuple[Sample, ...],
) -> Run:
    ended = meta.verdict is not None
    return Run(
        command=meta.command,
        name=meta.name,
        mode=Mode(meta.backend, meta.native, meta.python_allocators, meta.focus, meta.others_only),
        python=meta.python,
        memray=meta.memray,
        started=meta.started,
        duration_s=meta.duration_s if ended else points[-1].time_s,
        exit=seen,
        checkpoints=points,
        rss_curve=rss_curve,
        peak_rss_bytes=None,
        warning_bytes=meta.warning_bytes,
        critical_bytes=meta.critical_bytes,
        limit=limit_of(meta),
        identity=meta.identity,
        max_rss_bytes=meta.max_rss_bytes,
        earlier_s=meta.earlier_s,
        attached=meta.attached,
        leaves_out=meta.leaves_out,
    )
