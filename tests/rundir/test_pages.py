"""Pages come back as they were written; a torn or damaged file is no reading."""

from __future__ import annotations

from itertools import accumulate

import pytest
from factories import COUNTS
from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir.pages import MAX_BYTES, SplitPages, bounded, decode_pages, encode_pages

PAGE = 4096


def ranges_of(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Make ranges of pages between them and in them, one after the other."""
    edges = list(accumulate((size * PAGE for step in steps for size in step), initial=0))
    return list(zip(edges[1::2], edges[2::2], strict=True))


RANGES = st.lists(st.tuples(st.integers(1, 1 << 30), st.integers(1, 1 << 20)), max_size=20).map(
    ranges_of
)


@given(ranges=RANGES, time_ns=COUNTS, left_out=st.integers(0, 1 << 40))
def test_pages_come_back(ranges: list[tuple[int, int]], time_ns: int, left_out: int) -> None:
    pages = SplitPages(time_ns, PAGE, tuple(ranges), left_out)
    assert decode_pages(encode_pages(pages)) == pages


@given(ranges=RANGES, size=st.integers(0, 200))
def test_a_torn_file_is_no_reading(ranges: list[tuple[int, int]], size: int) -> None:
    content = encode_pages(SplitPages(1, PAGE, tuple(ranges)))
    torn = content[: min(size, len(content) - 1)]
    assert decode_pages(torn) is None


@given(ranges=RANGES, most=st.integers(0, 20))
def test_of_too_many_ranges_the_longest_are_kept_and_all_are_counted(
    ranges: list[tuple[int, int]], most: int
) -> None:
    pages = bounded(1, PAGE, ranges, most)
    assert len(pages.ranges) == min(most, len(ranges))
    assert pages.bytes == sum(end - start for start, end in ranges)
    kept, gone = set(pages.ranges), set(ranges) - set(pages.ranges)
    assert list(pages.ranges) == sorted(kept)
    least = min((end - start for start, end in kept), default=0)
    assert all(end - start <= least for start, end in gone if kept)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".\n",
        b"P 1 4096\n.\n",
        b"P 1 4096 0 0\n.\n",
        b"Q 1 4096 0\n.\n",
        b"P 1 0 0\n.\n",
        b"P 1 9999999999 0\n.\n",
        b"P 1 4096 0\n1 0\n.\n",
        b"P 1 4096 0\n1 1\n0 1\n.\n",
        b"P 1 4096 0\n1\n.\n",
        b"P 1 4096 0\n-1 1\n.\n",
        b"P 1 4096 0\n1 x\n.\n",
        b"P 1 4096 0\n1 9999999999999999999\n.\n",
        b"P 1 4096 0\n1 " + b"9" * 5000 + b"\n.\n",
        b"P 1 4096 0\n\xd9\xa1 1\n.\n",
        b"\x00\x00.\n",
    ],
)
def test_a_damaged_file_is_no_reading(content: bytes) -> None:
    assert decode_pages(content) is None


def test_a_file_of_as_many_ranges_as_there_may_be_is_small() -> None:
    ranges = [(2 * place << 35, (2 * place << 35) + PAGE) for place in range(1, (1 << 16) + 10)]
    pages = bounded((1 << 63) - 1, PAGE, ranges)
    assert (len(pages.ranges), pages.left_out) == (1 << 16, 9)
    assert len(encode_pages(pages)) < MAX_BYTES
