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
from dataclasses import replace

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
    from pathlib import Path

    from memdeep.run.capacity import Capacity
    from memdeep.run.monitor_log import MonitorLog
    from memdeep.run.own_code import working_directory
    from memdeep.run.sampling import TreeSampler
    from memdeep.rundir.directory import RunDirectory
    from memdeep.rundir.files import write_atomically
    from memdeep.rundir.meta import decode_meta, encode_meta
    from memdeep.rundir.runs import held
    from memdeep.rundir.samples import SAMPLES_TITLE, encode_sample

    run_dir = RunDirectory(Path(path))
    meta = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    if select.select([SOCKET], [], [], 0)[0]:
        return  # it is over before anything could be seen of it
    sampler = TreeSampler(pid, meta.spawned_ns, run_dir.births, is_older=True)
    capacity = Capacity(
        run_dir, max_capture_bytes, keep_free_bytes, lambda note: None, to_program=SOCKET
    )
    log = MonitorLog(run_dir, meta.warning_bytes, meta.critical_bytes)
    directories = dict.fromkeys(meta.directories)
    with open(run_dir.samples, "w", encoding="ascii") as samples, held(run_dir):
        samples.write(SAMPLES_TITLE)
        is_over = False
        while not is_over:
            is_over = bool(select.select([SOCKET], [], [], meta.interval_ms / 1000)[0])
            reading = sampler.sample()
            if not reading.processes:
                break
            time_s = reading.processes[0].time_ms / 1000
            with suppress(OSError):
                samples.write("".join(map(encode_sample, reading.processes)))
                samples.flush()
            directories[working_directory(pid) or ""] = None
            capacity.look(time_s)
            log.update(reading.size.bytes if reading.size else 0, time_s)
    log.close()
    sampler.close()
    write_atomically(
        run_dir.meta,
        encode_meta(
            replace(
                meta,
                processes=sampler.seen(None),
                directories=tuple(filter(None, directories)),
                notes=(*meta.notes, *filter(None, [capacity.problem, sampler.problem])),
                peak_pss_bytes=sampler.peak_pss_bytes,
            )
        ),
    )
    capacity.close()


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1:])
