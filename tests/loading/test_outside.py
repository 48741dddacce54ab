"""What the parent saw of several processes adds up to the memory of all of them."""

from __future__ import annotations

from dataclasses import replace

from factories import frame, heap, process, run, tree
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.workers import Workers
from memdeep.loading.outside import lent_curve
from memdeep.model import Sample, Stretch
from memdeep.rundir.samples import ProcessSample

PROGRAM, LAST = 1, 5
ALL = 60  # divisible by the number of processes, whatever it is

# Of each worker: when it begins and ends, and what it has to itself.
LIVES = st.lists(
    st.tuples(st.integers(1, LAST), st.integers(0, LAST), st.integers(0, 9)), max_size=4
)
# Of the program, at each checkpoint: what it has to itself, and what it shares with all workers.
SIZES = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 9)), min_size=LAST + 1, max_size=LAST + 1
)


@given(LIVES, SIZES)
def test_the_program_and_what_its_workers_added_are_the_memory_of_all(
    lives: list[tuple[int, int, int]], sizes: list[tuple[int, int]]
) -> None:
    """Each reading is made at a checkpoint; shared pages have their parts in the PSS of all."""
    samples, rss, memory = [], [], []
    curves: dict[int, list[Sample]] = {pid: [] for pid in range(2, 2 + len(lives))}
    for time_s, (own, shares) in enumerate(sizes):
        there = {
            pid: size
            for pid, (begin, lasts, size) in enumerate(lives, 2)
            if begin <= time_s <= begin + lasts
        }
        shared = ALL * shares
        part = shared // (1 + len(there))
        rss.append(own + shared)
        memory.append(own + shared + sum(there.values()))
        pss = own + part if there else None
        samples.append(ProcessSample(1000 * time_s, PROGRAM, own + shared, pss_bytes=pss))
        for pid, size in there.items():
            figures = {"pss_bytes": size + part, "uss_bytes": size}
            samples.append(ProcessSample(1000 * time_s, pid, size + shared, **figures))
            curves[pid].append(Sample(float(time_s), size + part))
    workers = [
        process(pid, start_s=float(begin), end_s=begin + lasts + 0.5, curve=tuple(curves[pid]))
        for pid, (begin, lasts, _) in enumerate(lives, 2)
    ]
    recorded = run(*(f"p{number}" for number in range(LAST)))
    points = [
        replace(one, time_s=float(place))
        for place, one in enumerate(recorded.checkpoints[: LAST + 1])
    ]
    recorded = replace(
        recorded,
        checkpoints=tuple(points),
        processes=(process(PROGRAM, how="run", start_s=0.0, end_s=None), *workers),
        lent_curve=lent_curve(samples, PROGRAM, 0.0),
    )
    of_run = Workers(recorded, heap(tree([frame()])[0], (), LAST + 1))
    for start in range(LAST):
        for end in range(start + 1, LAST + 1):
            stretches = [Stretch(start, end)]
            grown = of_run.pss_delta(stretches)
            added = 0 if grown is None else grown - of_run.lent_delta(stretches)
            assert rss[end] - rss[start] + added == memory[end] - memory[start]
