"""`samples`: the memory of each process of a run, read by the parent at short intervals.

Owns that format, both ways. Knows neither when a reading is due nor where it comes from.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from memdeep.frozen import frozen
from memdeep.rundir.journal import MAX_TIME_S

MAX_DIGITS = 19
UNKNOWN = "-"
NEEDED, WITH_FILE = 3, 4  # fields of a line without shares
_COUNT = rf"[0-9]{{1,{MAX_DIGITS}}}"
_FURTHER = rf"\t({_COUNT}|{UNKNOWN})" * 5  # only a line with shares may mark some as unknown
_LINE = re.compile(
    rf"^({_COUNT})\t({_COUNT})\t({_COUNT})(?:\t({_COUNT})|{_FURTHER})?\n", re.MULTILINE
)
_NO_READING = re.compile(r"^(?:#.*)?\n", re.MULTILINE)  # a title, an empty line
SAMPLES_TITLE = (
    "# milliseconds\tpid\trss_bytes\trss_file_bytes\t"
    "pss_bytes\tpss_anon_bytes\tpss_shmem_bytes\tuss_bytes\n"
)


@frozen
class ProcessSample:
    """Resident bytes of one process, ``time_ms`` after the program was started.

    ``rss_file_bytes`` are those that map files or are shared, where the system tells them.
    ``pss_bytes`` are its pages, each divided by the number of processes that map it; of them,
    ``pss_anon_bytes`` are anonymous and ``pss_shmem_bytes`` shared memory. ``uss_bytes`` are in
    pages that no other process maps. These are None where they were not read at this moment.
    """

    time_ms: int
    pid: int
    rss_bytes: int
    rss_file_bytes: int | None = None
    pss_bytes: int | None = None
    pss_anon_bytes: int | None = None
    pss_shmem_bytes: int | None = None
    uss_bytes: int | None = None


def by_moment(samples: Iterable[ProcessSample]) -> dict[int, list[ProcessSample]]:
    """Return the samples of all processes by their `time_ms`."""
    moments: defaultdict[int, list[ProcessSample]] = defaultdict(list)
    for sample in samples:
        moments[sample.time_ms].append(sample)
    return moments


def tree_bytes(processes: Sequence[ProcessSample]) -> int | None:
    """Return the memory of ``processes`` at one moment: the RSS of a lone one, else the sum of PSS.

    None if there are several and not the PSS of each is known, or if there are none.
    """
    if len(processes) == 1:
        return processes[0].rss_bytes
    shares = [sample.pss_bytes for sample in processes if sample.pss_bytes is not None]
    return sum(shares) if shares and len(shares) == len(processes) else None


def encode_sample(sample: ProcessSample) -> str:
    """Encode one line of ``samples``; of its optional figures no more than are known."""
    shares = (sample.pss_bytes, sample.pss_anon_bytes, sample.pss_shmem_bytes, sample.uss_bytes)
    figures = [sample.time_ms, sample.pid, sample.rss_bytes, sample.rss_file_bytes, *shares]
    if all(share is None for share in shares):
        figures = figures[: NEEDED if sample.rss_file_bytes is None else WITH_FILE]
    return "\t".join(UNKNOWN if one is None else str(one) for one in figures) + "\n"


def decode_samples(content: str) -> list[ProcessSample]:
    """Return the readings in the order written; damaged lines and a torn last one are left out."""
    samples = []
    for time, pid, rss, file, *further in _LINE.findall(content):
        time_ms = int(time)
        if time_ms > MAX_TIME_S * 1000:
            continue
        if file:  # as of a lone process
            samples.append(ProcessSample(time_ms, int(pid), int(rss), int(file)))
        else:
            known = [None if text == UNKNOWN else int(text) for text in further if text]
            samples.append(ProcessSample(time_ms, int(pid), int(rss), *known))
    return samples


def damaged_lines(content: str, readings: int) -> int:
    """Count the lines of ``content`` that are no readings, of which there are so many.

    A torn last line does not count as damaged: whoever wrote it was killed.
    """
    empty = sum(1 for _ in _NO_READING.finditer(content))
    torn = content[content.rfind("\n") + 1 :]
    return content.count("\n") - readings - empty + ("\0" in torn)
