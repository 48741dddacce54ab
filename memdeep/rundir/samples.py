"""`samples`: the RSS of each process of a run, read by the parent at short intervals.

Owns that format, both ways. Knows neither when a reading is due nor where it comes from.
"""

from __future__ import annotations

from memdeep.frozen import frozen
from memdeep.rundir.journal import MAX_TIME_S

MAX_DIGITS = 19
SAMPLES_TITLE = "# milliseconds\tpid\trss_bytes\trss_file_bytes\n"


@frozen
class ProcessSample:
    """Resident bytes of one process, ``time_ms`` after the program was started.

    ``rss_file_bytes`` are those that map files or are shared, where the system tells them.
    """

    time_ms: int
    pid: int
    rss_bytes: int
    rss_file_bytes: int | None = None


def encode_sample(sample: ProcessSample) -> str:
    """Encode one line of ``samples``."""
    figures = [sample.time_ms, sample.pid, sample.rss_bytes]
    if sample.rss_file_bytes is not None:
        figures.append(sample.rss_file_bytes)
    return "\t".join(map(str, figures)) + "\n"


def decode_samples(content: str) -> list[ProcessSample]:
    """Return the readings in the order written; damaged lines and a torn last one are left out."""
    samples = []
    for line in content.split("\n")[:-1]:  # what follows the last newline is torn
        fields = line.split("\t")
        if len(fields) in (3, 4) and all(_is_count(text) for text in fields):
            sample = ProcessSample(*(int(text) for text in fields))
            if sample.time_ms <= MAX_TIME_S * 1000:
                samples.append(sample)
    return samples


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
