"""Figures of a running program, for whoever shows them."""

from __future__ import annotations

from memdeep.frozen import frozen


@frozen
class Progress:
    """A reading of a running program: seconds since its start, memory of the whole process tree.

    ``size_bytes`` is the RSS of a lone process; of several it is the sum of their PSS, where
    ``is_pss``. ``label`` is that of the last checkpoint. ``left_bytes`` are left of
    ``limit_bytes``, the limit in force; both are None where no limit is known.
    """

    elapsed_s: float
    size_bytes: int
    label: str | None = None
    limit_bytes: int | None = None
    left_bytes: int | None = None
    is_pss: bool = False
