"""Figures of a running program, for whoever shows them."""

from __future__ import annotations

from memdeep.frozen import frozen


@frozen
class Progress:
    """A reading of a running program: seconds since its start, RSS of the whole process tree.

    ``label`` is that of the last checkpoint. ``left_bytes`` are left of ``limit_bytes``, the limit
    in force; both are None where no limit is known.
    """

    elapsed_s: float
    rss_bytes: int
    label: str | None = None
    limit_bytes: int | None = None
    left_bytes: int | None = None
