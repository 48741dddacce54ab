"""Watches a process that records itself, from another one that it has started beside it.

The process finds no child in it: it belongs to nobody, and no signal of the terminal reaches it. It
reads what `supervise` reads of a program, and ends with the recording. It is run by the path of
this file.
"""

from __future__ import annotations

import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.frozen import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memdeep.run.verdict import Ending, Witnesses
    from memdeep.rundir.meta import SeenProcess

GIT_WAIT_S = 0.05  # for what git has not said by then; the process is waiting
SOCKET = 0  # the descriptor on which it says so, and gets orders to stop tracing


def main(words: list[str]) -> None:
    """Watch the recording in a run directory: ``DIR PID MAX-CAPTURE KEEP-FREE PATHS...``.

    The sizes are bytes, 0 for no limit.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    run_dir, pid, most, free, *paths = words
    sys.path += [path for path in paths if path not in sys.path]
    with suppress(FileNotFoundError):  # the directory was removed
        _attend(run_dir, int(pid), int(most) or None, int(free))


def _attend(path: str, pid: int, max_capture_bytes: int | None, keep_free_bytes: int) -> None:
    from memdeep.run.capacity import Capacity
    from memdeep.run.facts import limit_facts
    from memdeep.run.identity import GitQuestion
    from memdeep.run.monitor_log import MonitorLog
    from memdeep.run.own_code import working_directory
    from memdeep.run.sampling import TreeSampler
    from memdeep.run.supervise import Bounds
    from memdeep.rundir.directory import RunDirectory
    from memdeep.rundir.files import write_atomically
    from memdeep.rundir.meta import decode_meta, encode_meta
    from memdeep.rundir.runs import held
    from memdeep.rundir.samples import SAMPLES_TITLE, encode_sample

    run_dir = RunDirectory(Path(path))
    meta = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    if _is_over(0.0):
        return  # before anything could be seen of it
    identity = meta.identity
    assert identity is not None
    sampler = TreeSampler(pid, meta.spawned_ns, run_dir.births, is_older=True)
    capacity = Capacity(
        run_dir, max_capture_bytes, keep_free_bytes, lambda note: None, to_program=SOCKET
    )
    log = MonitorLog(run_dir, meta.warning_bytes, meta.critical_bytes)
    directories = dict.fromkeys(meta.directories)
    last_s = 0.0
    with (
        open(run_dir.samples, "w", encoding="ascii") as samples,
        held(run_dir),
        Bounds(None) as bounds,
        GitQuestion(identity) as git,
    ):
        samples.write(SAMPLES_TITLE)
        is_over = False
        while True:
            reading = sampler.sample()
            is_there = any(one.pid == pid for one in reading.processes)
            if not is_there:
                break
            last_s = reading.processes[0].time_ms / 1000
            with suppress(OSError):
                samples.write("".join(map(encode_sample, reading.processes)))
                samples.flush()
            directories[working_directory(pid) or ""] = None
            capacity.look(last_s)
            log.update(reading.size.bytes if reading.size else 0, last_s)
            bounds.look(last_s)
            bounds.left_bytes(last_s, reading.size, sampler.address_space_bytes)
            if is_over:
                break
            is_over = _is_over(meta.interval_ms / 1000)
        log.close()
        sampler.close()
        bounds.look(last_s)
        witnesses = bounds.witnesses(sampler)
        end = None if is_there else end_of(witnesses, last_s)
        revision = git.answer(GIT_WAIT_S)
        # Once more: where the machine is busy, the recording may have ended without waiting for us.
        meta = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
        seen = replace(
            meta,
            **limit_facts(bounds.limit),
            processes=judged(sampler.seen(None), witnesses),
            directories=tuple(filter(None, directories)),
            notes=(*meta.notes, *filter(None, [capacity.problem, sampler.problem])),
            peak_pss_bytes=sampler.peak_pss_bytes,
            identity=replace(identity, commit=revision.commit, is_dirty=revision.is_dirty),
        )
        if end is not None and meta.verdict is None:
            seen = replace(
                seen,
                duration_s=last_s,
                signal=end.signal,
                verdict=end.verdict,
                evidence=end.evidence,
            )
        write_atomically(run_dir.meta, encode_meta(seen))
    capacity.close()


def _is_over(wait_s: float) -> bool:
    """Tell if the recording has ended, or the process with it, within ``wait_s``."""
    return bool(select.select([SOCKET], [], [], wait_s)[0])


def end_of(witnesses: Witnesses, last_s: float) -> Ending | None:
    """Judge the end of a process that nobody here may wait for, last seen at ``last_s``.

    None unless the kernel has killed it for want of memory, and says so: by name, or by a counter
    that rose when the process was gone.
    """
    from memdeep.run.verdict import ENDS_WITHIN_S, judge

    rises = () if witnesses.group is None else witnesses.group.rises
    is_named = witnesses.pid in (witnesses.kernel_log or {})
    if is_named or any(until_s >= last_s - ENDS_WITHIN_S for _, until_s in rises):
        end = judge(-signal.SIGKILL, witnesses)
        return end if end.verdict == "oom-killed" else None
    return None


def judged(processes: Sequence[SeenProcess], witnesses: Witnesses) -> tuple[SeenProcess, ...]:
    """Return the processes that were seen, with those told that the kernel killed."""
    from memdeep.run.verdict import judge

    killed = judge(0, witnesses).oom_killed
    return tuple(
        replace(one, signal="SIGKILL", verdict="oom-killed") if one.pid in killed else one
        for one in processes
    )


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1:])
