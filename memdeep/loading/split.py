"""Reads the pages that forked processes had split off, and asks captures for who allocated them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen, replace
from memdeep.heap.family import Moment
from memdeep.heap.parts import Asked
from memdeep.heap.split import Fork
from memdeep.loading.moments import segment_at
from memdeep.model import Process
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.journal import Event
from memdeep.rundir.pages import MAX_BYTES, SplitPages, decode_pages

MAX_FORKS = 64  # whose pages are looked at: those that split off most
MAX_GENERATIONS = 8

Question = tuple[Moment, Asked]


@frozen
class Split:
    """The forked processes of a run; ``questions`` for the captures of processes, by index."""

    forks: tuple[Fork, ...] = ()
    questions: Mapping[int, Sequence[Question]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def find_split(
    run_dir: RunDirectory,
    processes: Sequence[Process],
    start: Event,
    times_s: Sequence[float],
    first: int,
) -> Split:
    """Find the forks with pages of their own; their moments get numbers from ``first`` on.

    ``start`` is the start of the program, ``times_s`` are those of its checkpoints.
    """
    read = sorted(_read(run_dir, processes), key=lambda one: one[1].bytes, reverse=True)
    forks: list[Fork] = []
    questions: dict[int, list[Question]] = {}
    numbers = count(first)

    def ask(process: int, time_s: float, asked: Asked) -> int:
        moment = Moment(next(numbers), segment_at(times_s, time_s), max(0.0, time_s))
        questions.setdefault(process, []).append((moment, asked))
        return moment.number

    for place, pages in sorted(read[:MAX_FORKS], key=lambda one: one[0]):
        asked = Asked(pages.ranges, by_stack=True)
        born = tuple(
            ask(parent, processes[child].start_s or 0.0, asked)
            for parent, child in _forks_of(processes, place)
        )
        read_s = (pages.monotonic_ns - start.monotonic_ns) / 1e9
        own = ask(place, read_s, Asked(pages.ranges, by_stack=False))
        forks.append(Fork(place, pages, born, own))
    left_out = len(read) - len(forks)
    return Split(
        tuple(forks),
        questions,
        ()
        if not left_out
        else (
            f"What {left_out:,} further forked processes copied of the memory of their parents "
            f"is not known by line: the {MAX_FORKS} that copied most were looked at.",
        ),
    )


def not_asked(forks: Iterable[Moment], questions: Iterable[Question]) -> list[Moment]:
    """Return those of ``forks`` at whose moment nothing is asked."""
    asked = Counter((moment.segment, moment.time_s) for moment, _ in questions)
    left = []
    for fork in forks:
        asked[fork.segment, fork.time_s] -= 1
        if asked[fork.segment, fork.time_s] < 0:
            left.append(fork)
    return left


def _forks_of(processes: Sequence[Process], place: int) -> Iterator[tuple[int, int]]:
    """Yield the recorded processes that were forked on the way to one, each with its child.

    The nearest comes first.
    """
    for _ in range(MAX_GENERATIONS):
        process = processes[place]
        parent = process.parent
        is_recorded = process.is_forked and process.is_traced
        if not is_recorded or parent is None or (parent and not processes[parent].is_traced):
            return
        yield parent, place
        place = parent


def _read(run_dir: RunDirectory, processes: Sequence[Process]) -> Iterator[tuple[int, SplitPages]]:
    """Yield the forked processes of recorded ones, each with its pages; damaged ones are left."""
    for place, process in enumerate(processes):
        if process.directory is None or not any(_forks_of(processes, place)):
            continue
        try:
            file = RunDirectory(run_dir.path / process.directory).pages
            pages = decode_pages(read_if_there(file, MAX_BYTES) or b"")
        except CaptureError:
            continue
        if pages is not None and pages.ranges:
            yield place, pages


def with_pages(processes: Sequence[Process], forks: Sequence[Fork]) -> tuple[Process, ...]:
    """Return the processes with what is known of their own pages from these readings, too."""
    found = list(processes)
    for fork in forks:
        process = found[fork.process]
        own_bytes = max(process.peak_uss_bytes or 0, fork.pages.bytes)
        found[fork.process] = replace(process, peak_uss_bytes=own_bytes)
    return tuple(found)
