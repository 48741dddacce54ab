"""Readings of the mappings come back as they were written, as far as they were written whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir import mappings

HEAD = mappings.encode_head("/runs/a b", ["00:1a"])
SMAPS = b"""\
5600-5700 rw-p 00000000 00:00 0                          [heap]
6000-7000 r--p 00000000 fe:00 26723                      /usr/lib/a b.so
7000-8000 rw-s 00000000 00:1a 7                          /dev/shm/psm_1 (deleted)
8000-9000 -w-s 00000000 fe:00 9                          /runs/a b/capture.bin
9000-a000 rw-s 00000000 00:01 9                          /dev/zero (deleted)
a000-b000 rw-s 00000000 00:01 9                          /memfd:x (deleted)
b000-c000 rw-p 00000000 00:00 0
Rss:                   1 kB
Rss:                   4 kB
Rss:                   3 kB
Rss:                   2 kB
Rss:                   5 kB
Rss:                   6 kB
Rss:                   7 kB
Anonymous:             1 kB
Anonymous:             1 kB
Anonymous:             0 kB
Anonymous:             0 kB
Anonymous:             0 kB
Anonymous:             0 kB
Anonymous:             7 kB
"""


def reading(sequence: int) -> bytes:
    return mappings.encode_begin(sequence, 17, 0) + SMAPS + mappings.encode_end(99)


def test_each_mapping_has_its_kind_and_its_bytes() -> None:
    (found,), _ = mappings.decode(HEAD + reading(3))
    assert (found.sequence, found.allocated_blocks, found.cost_ns) == (3, 17, 99)
    assert [(one.kind, one.rss_bytes, one.anonymous_bytes) for one in found.mappings] == [
        (mappings.HEAP, 1024, 1024),
        (mappings.FILE, 4096, 1024),
        (mappings.SHARED, 3072, 0),
        (mappings.TRACER, 2048, 0),
        (mappings.ANONYMOUS, 5120, 5120),
        (mappings.SHARED, 6144, 0),
        (mappings.ANONYMOUS, 7168, 7168),
    ]
    assert (found.mappings[1].start, found.mappings[1].end) == (0x6000, 0x7000)
    assert found.mappings[1].path == "/usr/lib/a b.so"


def test_samples_belong_to_the_mapping_that_they_name() -> None:
    block = mappings.encode_begin(1, 2, 0) + SMAPS + mappings.encode_samples(0xB000, 8, b"101")
    (found,), _ = mappings.decode(HEAD + block + mappings.encode_end(99))
    assert [one.samples for one in found.mappings[-2:]] == [(), (True, False, True)]


@given(cut=st.integers(0, len(reading(2))))
def test_a_torn_reading_costs_that_one_only(cut: int) -> None:
    whole, torn = reading(1), reading(2)[:cut]
    others = [2] if cut == len(reading(2)) else []
    for content, sequences in (
        (HEAD + whole + torn, [1, *others]),
        (HEAD + torn + whole, [*others, 1]),
    ):
        found, damaged = mappings.decode(content)
        assert [one.sequence for one in found] == sequences
        assert damaged == 0  # the program took too long for it, or died


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (HEAD + reading(1).replace(b"Rss:", b"Rsx:", 1) + reading(2), 1),
        # Another thread mapped memory while it was read.
        (HEAD + reading(1) + reading(2).replace(b"8000-9000", b"1000-9000"), 0),
        (HEAD + reading(1) + reading(2)[:-40] + bytes(40), 1),
        (HEAD + reading(1) + bytes(400), 1),
        (b"nonsense", 1),
        (HEAD[:1], 0),
        (b"", 0),
    ],
)
def test_what_was_never_written_is_damage(content: bytes, count: int) -> None:
    assert mappings.decode(content)[1] == count


@given(noise=st.binary(max_size=80), at=st.integers(0, len(reading(1))))
def test_nonsense_is_left_out(noise: bytes, at: int) -> None:
    block = reading(1)
    for found in mappings.decode(HEAD + block[:at] + noise + block[at:])[0]:
        ends = 0
        for one in found.mappings:
            assert ends <= one.start < one.end
            assert 0 <= one.anonymous_bytes <= one.rss_bytes
            ends = one.end


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs", "hugetlbfs", "devtmpfs"])
def test_the_devices_of_file_systems_in_memory_are_found(kind: str) -> None:
    lines = (
        f"25 30 0:26 / /dev/shm rw shared:4 - {kind} shm rw\n28 1 254:0 / / rw - ext4 /dev/vda rw\n"
    )
    assert mappings.memory_devices(lines.encode()) == ["00:1a"]


@pytest.mark.parametrize(
    ("rss_kib", "resident"),
    [
        (8, (False, True, False, True)),  # half: the page of zeros is none of the process's
        (16, (True, True, True, True)),  # all: its pages are shared since a fork
        (4, (False, True, False, True)),
    ],
)
def test_the_page_of_zeros_counts_by_what_is_resident(
    rss_kib: int, resident: tuple[bool, ...]
) -> None:
    lines = b"b000-f000 rw-p 00000000 00:00 0\nRss: %d kB\nAnonymous: %d kB\n"
    block = mappings.encode_begin(1, 2, 0) + lines % (rss_kib, rss_kib)
    block += mappings.encode_samples(0xB000, 4096, b"2121") + mappings.encode_end(1)
    ((found,), damaged) = mappings.decode(mappings.encode_head("/run", ()) + block)
    assert not damaged
    assert found.mappings[0].samples == resident
