"""Reads what each process's part of the memory is (PSS, USS), as rarely as its cost demands.

For one reading the kernel walks all pages of the process and keeps it from mapping memory
meanwhile: 0.6 ms for 100 MB, 4 to 6 ms for 1 GB. See `smaps_rollup` in proc(5).
"""

from __future__ import annotations

import os

from memdeep.frozen import replace
from memdeep.rundir.samples import ProcessSample

ORDINARY = 0.01  # of the time may go into readings
FORCED = 0.05  # where a threshold may have been reached
AT_LEAST_S = 0.05  # between two rounds
CREDIT_S = 0.1
NEVER_S = float("-inf")

_ROLLUP = "/proc/{}/smaps_rollup"
IS_TOLD = os.path.exists(_ROLLUP.format("self"))  # Linux alone has it, since 4.14


class Gone(Exception):
    """The process has ended."""


def with_shares(sample: ProcessSample) -> ProcessSample:
    """Return ``sample`` with the shares of its process now; without them if we may not read them.

    Raises Gone.
    """
    try:
        with open(_ROLLUP.format(sample.pid), "rb") as file:
            content = file.read()
    except (FileNotFoundError, ProcessLookupError):
        if IS_TOLD:
            raise Gone from None
        return sample
    except OSError:
        return sample
    sizes = {
        name: int(rest.split()[0]) << 10
        for name, _, rest in (line.partition(b":") for line in content.splitlines()[1:])
    }
    if b"Pss" not in sizes:
        raise Gone
    return replace(
        sample,
        pss_bytes=sizes[b"Pss"],
        pss_anon_bytes=sizes.get(b"Pss_Anon"),  # since 5.2
        pss_shmem_bytes=sizes.get(b"Pss_Shmem"),
        uss_bytes=sizes[b"Private_Clean"] + sizes[b"Private_Dirty"],
    )


class Pace:
    """Spaces out rounds of readings so that all of them take their share of the time and no more.

    That is time of the processor: on a busy machine a round lasts longer, but costs no more. A
    short program has a credit, or it would have no reading at all.
    """

    __slots__ = ("_began_s", "_ended_s", "_spent_s")

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._ended_s = NEVER_S
        self._spent_s = 0.0

    def allows(self, now_s: float, *, is_forced: bool) -> bool:
        """Tell if a round may begin now."""
        if self._began_s is None:
            self._began_s = now_s
        if now_s - self._ended_s < AT_LEAST_S:
            return False
        share = FORCED if is_forced else ORDINARY
        return self._spent_s <= CREDIT_S + share * (now_s - self._began_s)

    def note(self, ended_s: float, took_s: float) -> None:
        """Note a round."""
        self._ended_s = ended_s
        self._spent_s += took_s
