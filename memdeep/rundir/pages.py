"""`pages`: memory that a forked process had split off, as it was read when that was most.

A line ``P`` has `time.monotonic_ns` of the reading, the bytes of a page, and the number of pages
that were left out as they lay in too many ranges. A line for each range follows, by address: the
number of pages between it and the one before, and the number of its pages. Without the last line,
``.``, the file is torn.
"""

from __future__ import annotations

from collections.abc import Iterable

from memdeep.frozen import frozen
from memdeep.rundir.journal import count
from memdeep.rundir.mappings import MAX_ADDRESS

MAX_RANGES = 1 << 16
MAX_BYTES = 1 << 22  # of a file
MAX_PAGE_BYTES = 1 << 20
MAX_DIGITS = 19


@frozen
class SplitPages:
    """Pages of a forked process that its parent has as well, each a page of its own.

    ``ranges`` are addresses from start to end, in order; they do not overlap, nor touch.
    ``left_out`` is the number of further pages.
    """

    monotonic_ns: int
    page_bytes: int
    ranges: tuple[tuple[int, int], ...]
    left_out: int = 0

    @property
    def bytes(self) -> int:
        """The size of all pages, those that were left out included."""
        return sum(end - start for start, end in self.ranges) + self.left_out * self.page_bytes


def bounded(
    monotonic_ns: int, page_bytes: int, ranges: Iterable[tuple[int, int]], most: int = MAX_RANGES
) -> SplitPages:
    """Make pages of ``ranges``: of more than ``most``, the longest."""
    every = list(ranges)
    kept = every
    if len(every) > most:
        longest = sorted(range(len(every)), key=lambda place: every[place][0] - every[place][1])
        kept = [every[place] for place in sorted(longest[:most])]
    left_out = sum(end - start for start, end in every) - sum(end - start for start, end in kept)
    return SplitPages(monotonic_ns, page_bytes, tuple(kept), left_out // page_bytes)


def encode_pages(pages: SplitPages) -> bytes:
    """Encode one reading."""
    size, before = pages.page_bytes, 0
    lines = [f"P {pages.monotonic_ns} {size} {pages.left_out}"]
    for start, end in pages.ranges:
        lines.append(f"{(start - before) // size} {(end - start) // size}")
        before = end
    return "\n".join([*lines, ".", ""]).encode("ascii")


def decode_pages(content: bytes) -> SplitPages | None:
    """Return the reading; None if it is torn or damaged."""
    lines = content.decode("ascii", "replace").split("\n")
    if lines[-2:] != [".", ""] or len(lines) > MAX_RANGES + 3:
        return None
    try:
        kind, *head = lines[0].split(" ")
        monotonic_ns, size, left_out = map(_figure, head)
        if kind != "P" or not 0 < size <= MAX_PAGE_BYTES:
            return None
        ranges: list[tuple[int, int]] = []
        before = 0
        for line in lines[1:-2]:
            gap, length = map(_figure, line.split(" "))
            start = before + gap * size
            before = start + length * size
            if not length or before > MAX_ADDRESS or (ranges and not gap):
                return None
            ranges.append((start, before))
    except ValueError:
        return None
    return SplitPages(monotonic_ns, size, tuple(ranges), left_out)


def _figure(text: str) -> int:
    """Return a figure. Raises ValueError."""
    if not text.isdigit() or len(text) > MAX_DIGITS:
        raise ValueError(f"not a figure: {text!r}")
    return count(int(text))
