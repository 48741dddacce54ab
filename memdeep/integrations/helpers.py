"""Leaves out of a run the processes that a framework has started for itself, and never a worker."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from memdeep.frozen import replace
from memdeep.integrations.clusters import read_workers
from memdeep.rundir import births
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.meta import decode_meta, encode_meta
from memdeep.rundir.samples import (
    SAMPLES_TITLE,
    ProcessSample,
    by_moment,
    decode_samples,
    encode_sample,
    tree_bytes,
)


def leave_out(run_dir: RunDirectory, roots: Collection[int]) -> None:
    """Forget, of what was seen from outside of a run that has ended, all that ``roots`` has begun.

    Recorded workers stay, and what they have started. Raises CaptureError or OutputError.
    """
    meta = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    workers = {worker.pid for _, worker in read_workers(run_dir.children())}
    parents = {one.pid: one.parent_pid for one in meta.processes}
    helpers = {pid for pid in parents if _is_below(pid, roots, workers, parents)}
    samples: list[ProcessSample] = []
    with suppress(OSError):
        read = decode_samples(run_dir.samples.read_text("ascii", "replace"))
        samples = [sample for sample in read if sample.pid not in helpers]
        text = SAMPLES_TITLE + "".join(map(encode_sample, samples))
        write_atomically(run_dir.samples, text.encode("ascii"))
    sums = [tree_bytes(moment) for moment in by_moment(samples).values() if len(moment) > 1]
    with suppress(OSError):
        lines = run_dir.births.read_bytes().splitlines(keepends=True)
        write_atomically(run_dir.births, b"".join(_others(lines, roots, workers)))
    told = replace(
        meta,
        processes=tuple(one for one in meta.processes if one.pid not in helpers),
        peak_pss_bytes=max((size for size in sums if size is not None), default=None),
    )
    write_atomically(run_dir.meta, encode_meta(told))


def _others(
    lines: Iterable[bytes], roots: Collection[int], workers: Collection[int]
) -> Iterator[bytes]:
    """Yield the lines on births that tell of no helper."""
    for line in lines:
        found, _ = births.decode(line)
        for one in found:
            if isinstance(one, births.Birth):
                pids = [pid for pid, _ in one.ancestors]
                if _is_below(one.pid, roots, workers, dict(zip(pids, pids[1:], strict=False))):
                    break
        else:
            yield line


def _is_below(
    pid: int, roots: Collection[int], workers: Collection[int], parents: Mapping[int, int | None]
) -> bool:
    """Tell if a process descends from one of ``roots``, and not by way of a worker."""
    passed: set[int] = set()
    at: int | None = pid
    while at is not None and at not in workers and at not in passed:
        if at in roots:
            return True
        passed.add(at)
        at = parents.get(at)
    return False
