"""An address lies in the segment of the file that was loaded there, or nowhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memdeep.symbols.images import AddressSpace, Image

LIB = Image("/lib/lib.so", ((0, 0x100), (0x200, 0x50)))
PROGRAM = Image("/bin/program", ((0x400000, 0x1000),))
MACOS = Image("/usr/bin/program", ((0, 1 << 32), (1 << 32, 0x1000)))


def test_an_address_lies_in_the_segment_that_covers_it() -> None:
    space = AddressSpace([(LIB, 0x7F0000), (PROGRAM, 0)])
    assert space.find(0x7F0000) == (LIB, 0)
    assert space.find(0x7F00FF) == (LIB, 0xFF)
    assert space.find(0x7F0100) is None  # between two segments
    assert space.find(0x7F0201) == (LIB, 0x201)
    assert space.find(0x7F0250) is None
    assert space.find(0x400010) == (PROGRAM, 0x400010)
    assert space.find(0) is space.find(2**64 - 1) is None
    assert AddressSpace([]).find(5) is None


def test_the_empty_first_page_of_a_program_of_macos_covers_nothing() -> None:
    space = AddressSpace([(MACOS, 0x4000), (LIB, 0x20000)])
    assert space.find(0x20010) == (LIB, 0x10)
    assert space.find((1 << 32) + 0x4010) == (MACOS, (1 << 32) + 0x10)


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), min_size=1, max_size=8)


@given(ranges, st.integers(0, 300))
def test_the_search_finds_what_looking_at_each_range_finds(
    sizes: list[tuple[int, int]], address: int
) -> None:
    loaded, place = [], 0
    for number, (gap, size) in enumerate(sizes):
        place += gap
        loaded.append((Image(f"/{number}", ((0, size),)), place))
        place += size
    expected = [
        (image, address - load)
        for image, load in loaded
        if load <= address < load + image.segments[0][1]
    ]
    assert AddressSpace(loaded).find(address) == (expected[0] if expected else None)
