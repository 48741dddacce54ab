"""A framework's own processes are no part of a run; its workers and what these start are."""

from __future__ import annotations

from pathlib import Path

from factories import meta

from memdeep.integrations.helpers import leave_out
from memdeep.rundir import births
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import SeenProcess, decode_meta, encode_meta
from memdeep.rundir.samples import SAMPLES_TITLE, ProcessSample, decode_samples, encode_sample
from memdeep.rundir.workers import Worker, encode_worker

# The program 1 has begun 2, a helper, and 3, which has begun the worker 4 and the idle 5. The
# worker has begun 6, the program itself 7.
PARENTS = {1: None, 2: 1, 3: 1, 4: 3, 5: 3, 6: 4, 7: 1}


def seen(pid: int) -> SeenProcess:
    return SeenProcess(pid, PARENTS[pid], "python", 100)


def sample(time_ms: int, pid: int) -> ProcessSample:
    return ProcessSample(time_ms, pid, 100, 10, 50 + pid, 40, 0, 40)


def born(pid: int, directory: str | None) -> bytes:
    line = [(pid, 1)]
    parent = PARENTS[pid]
    while parent is not None:
        line.append((parent, 1))
        parent = PARENTS[parent]
    return births.encode_born(births.EXEC, line, None, directory, ["python"], "3.11.7", 1)


def test_helpers_are_forgotten_with_their_memory(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    places = [sample(time_ms, pid) for time_ms in (10, 20) for pid in PARENTS]
    known = meta(processes=tuple(map(seen, PARENTS)), peak_pss_bytes=10_000)
    run_dir.meta.write_bytes(encode_meta(known))
    run_dir.samples.write_text(SAMPLES_TITLE + "".join(map(encode_sample, places)), "ascii")
    ended = births.encode_ended(4, 0, 2)
    run_dir.births.write_bytes(b"".join([born(2, None), born(4, "4"), born(6, None), ended]))
    worker = run_dir.child("4")
    worker.path.mkdir(parents=True)
    worker.worker.write_bytes(encode_worker(Worker(4, "worker 4", "here", 1)))
    leave_out(run_dir, {2, 3})
    told = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    assert [one.pid for one in told.processes] == [1, 4, 6, 7]
    assert told.peak_pss_bytes == 4 * 50 + 1 + 4 + 6 + 7
    left = decode_samples(run_dir.samples.read_text("ascii"))
    assert [one.pid for one in left] == [1, 4, 6, 7] * 2
    lines, _ = births.decode(run_dir.births.read_bytes())
    assert [(type(one), one.pid) for one in lines] == [
        (births.Birth, 4),
        (births.Birth, 6),
        (births.Ended, 4),
    ]
