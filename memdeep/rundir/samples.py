"""The parent's readings of the RSS (`samples`): a line for each process and moment, both ways."""

from __future__ import annotations

from dataclasses import dataclass

from memdeep.rundir.journal import MAX_TIME_S

MAX_DIGITS = 19
SAMPLES_TITLE = "# milliseconds\tpid\trss_bytes\trss_file_bytes\n"


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """The resident bytes of one process, ``time_ms`` after the program was started.

    ``rss_file_bytes`` are those that map files or are shared, where the system tells them.
    """

    time_ms: int
    pid: int
    rss_bytes: int
    rss_file_bytes: int | None = None


def encode_sample(sample: ProcessSample) -> str:
    """One line of ``samples``."""
    figures = [sample.time_ms, sample.pid, sample.rss_bytes]
    if sample.rss_file_bytes is not None:
        figures.append(sample.rss_file_bytes)
    return "\t".join(map(str, figures)) + "\n"


def decode_samples(content: str) -> list[ProcessSample]:
    """All whole lines of ``samples``, in the order written; damaged ones are left out."""
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
