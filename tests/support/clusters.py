"""Reports on clusters that nobody ran, with as many workers as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from factories import MB, analysed, frame, lifetime, process, process_thread, run, tree

from memdeep.model import (
    DETACHED,
    Across,
    LineAcross,
    Mode,
    Process,
    ProcessHeap,
    Report,
    Sample,
    ShareAcross,
    Worker,
)

LIMIT = 2048 * MB
PATHS = (("load",), ("score",), ("score", "prepare"), ("sum",))
LOAD, PREPARE = frame("load", lineno=9), frame("score", lineno=14)


def worker(place: int, **changes: object) -> Process:
    """The worker at ``place`` of the run: of two threads and 2 GB, running at the end."""
    plain = process(
        100 + place,
        command=f"dask worker {place - 1}",
        how="subprocess",
        verdict=DETACHED,
        exit=None,
        started_by=(),
        group=place,
        start_s=0.1,
        end_s=5.0,
        peak_rss_bytes=(300 + 7 * place % 900) * MB,
        peak_pss_bytes=(280 + 7 * place % 900) * MB,
        peak_uss_bytes=(270 + 7 * place % 900) * MB,
        worker=Worker(str(place - 1), f"tcp://10.0.0.7:{40000 + place}", 2, LIMIT),
    )
    return replace(plain, **changes)


def cluster_report(
    workers: int = 2,
    paths: Sequence[tuple[str, ...]] = PATHS,
    *,
    alone: int = 1,
    troubled: bool = False,
) -> Report:
    """A program that is not traced itself, with workers that have phases of ``paths``.

    Of the first path the worker ``alone`` keeps ten times what each other does. Of ``troubled``
    workers the nanny ended the first, the kernel the second, and the third was lost.
    """
    ends = (
        {"verdict": "killed", "signal": "SIGTERM", "peak_rss_bytes": 1960 * MB},
        {"verdict": "oom-killed", "signal": "SIGKILL", "peak_rss_bytes": 1700 * MB},
        {"verdict": None},
    )
    started = [worker(place) for place in range(1, workers + 1)]
    if troubled:
        for place, end in enumerate(ends[:workers]):
            started[place] = replace(started[place], **end)
        facts = started[0].worker
        assert facts is not None
        started[0] = replace(started[0], worker=replace(facts, ended_bytes=1952 * MB))
    program = Process(
        100, command="python cluster.py", how="run", verdict="completed", exit=0, group=0
    )
    recorded = run(
        name="dask",
        mode=Mode("memray", native=False, python_allocators=False, others_only=True),
        earlier_s=3.0,
        duration_s=5.0,
        processes=(replace(program, start_s=0.0, end_s=5.0), *started),
        peak_rss_bytes=300 * workers * MB,
        rss_curve=tuple(Sample(float(at), (100 + 40 * at) * MB) for at in range(6)),
    )
    stacks, nodes = tree(
        *([process_thread(place, one), LOAD] for place, one in enumerate(started, 1))
    )
    kept = [(100 if place == alone else 10) * MB for place in range(1, workers + 1)]
    plain = analysed(
        recorded,
        stacks,
        [lifetime(node, 1, bytes=size) for node, size in zip(nodes, kept, strict=True)],
    )
    held = replace(
        plain.heap,
        processes=tuple(
            ProcessHeap(place, size, (Sample(1.0, size),)) for place, size in enumerate(kept, 1)
        ),
    )
    rows = [_row(path, number, kept) for number, path in enumerate(paths)]
    return replace(plain, heap=held, across=tuple(sorted(rows, key=lambda row: -row.bytes_in_use)))


def _row(path: tuple[str, ...], number: int, of_first: Sequence[int]) -> Across:
    """A row: the first has the sizes ``of_first``, later ones less and less."""
    sizes = list(of_first) if number == 0 else [8 * MB // number] * len(of_first)
    most = sizes.index(max(sizes)) + 1
    shares = [
        ShareAcross(place, 5 + number, size, size + 3 * MB, size + 20 * MB)
        for place, size in enumerate(sizes, 1)
    ]
    line = PREPARE if number else LOAD
    return Across(
        path=path,
        members=tuple((share.process, number) for share in shares),
        shares=tuple(sorted(shares, key=lambda share: -(share.retained_bytes or 0))),
        repeats=sum(share.repeats for share in shares),
        duration_s=1.5,
        complete=True,
        retained_bytes=sum(sizes),
        lines=(
            LineAcross(line, sum(sizes) - MB, 12, most, (most, number)),
            LineAcross(frame("helper", lineno=3), MB, 4, most, (most, number)),
        ),
    )
