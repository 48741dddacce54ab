"""What there is to tell of a program that is running."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to tell of a running program: seconds so far, RSS of the whole tree now.

    ``label`` is that of the last checkpoint it has set. ``left_bytes`` is what is left of
    ``limit_bytes``, the limit in force; None where no limit is known.
    """

    elapsed_s: float
    rss_bytes: int
    label: str | None = None
    limit_bytes: int | None = None
    left_bytes: int | None = None
