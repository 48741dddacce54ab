"""Runs `memdeep WORDS` and writes, to the file of the first argument, what it cost and when.

That is JSON with the moment when the program had ended (`program_end_s`, by the monotonic clock),
the processor time of memdeep and of all processes that it waited for until then (`program_cpu_s`),
and memdeep's own highest memory (`own_peak_bytes`; null where the system does not tell it).
"""

import atexit
import json
import resource
import sys
import time
from pathlib import Path

from memdeep import pipeline
from memdeep.cli.main import main

noted = {}
record_run = pipeline.record_run


def record_and_note(*words):
    status = record_run(*words)
    noted["program_end_s"] = time.monotonic()
    noted["program_cpu_s"] = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return status


def own_peak_bytes():
    """Return the highest memory of this process alone: that of `getrusage` is its parent's too."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return None
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(kilobytes)


def write(path):
    Path(path).write_text(json.dumps({**noted, "own_peak_bytes": own_peak_bytes()}))


if __name__ == "__main__":
    pipeline.record_run = record_and_note
    atexit.register(write, sys.argv[1])
    main(sys.argv[2:])
