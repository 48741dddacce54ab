"""Memory records of the same size take the place of markers, for whoever reads the capture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from factories import COUNTS, MB
from hypothesis import example, given
from hypothesis import strategies as st
from running import tree

from memdeep.errors import CaptureError
from memdeep.heap import markers, packed
from memdeep.heap.markers import FIRST_FLAG, SECOND_FLAG, Alignment, MarkerFigures
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.marker import encode_places

PAGE_BYTES = 4096
MEMORY_RECORD = 0x02


Figures = Callable[[int], MarkerFigures | None]


def align(run_dir: RunDirectory, figures: Figures) -> tuple[Alignment, bytes]:
    """The markers, and the capture as it is to be read; nothing is written."""
    before = tree(run_dir.path)
    found = markers.align(run_dir.capture(), run_dir.markers(), figures)
    assert tree(run_dir.path) == before
    content = bytearray(run_dir.capture().read_bytes())
    for offset, records in found.changes.items():
        content[offset : offset + len(records)] = records
    return found, bytes(content)


def keep(run_dir: RunDirectory, content: bytes, found: Alignment) -> None:
    """Leave the run with this capture, and with the list of where its markers lay."""
    run_dir.capture().write_bytes(content)
    run_dir.markers().write_bytes(encode_places(list(found.markers)))


def marker(sequence: int) -> bytes:
    """What memray writes when a thread gets the name of a checkpoint."""
    return b"\x0amemdeep:" + f"{sequence:030}".encode() + b"\x00"


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The value at ``at`` and where it ends, as `readVarint` of memray's reader reads it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if not byte & 0x80:
            return value, at


def read_memory_records(data: bytes) -> list[tuple[int, int]]:
    """All of ``data`` as memory records: (RSS, milliseconds since the start)."""
    records = []
    at = 0
    while at < len(data):
        assert data[at] == MEMORY_RECORD
        rss, at = read_varint(data, at + 1)
        since_start_ms, at = read_varint(data, at)
        records.append((rss, since_start_ms))
    return records


def run_with(directory: Path, content: bytes) -> RunDirectory:
    run_dir = RunDirectory(directory)
    run_dir.capture().write_bytes(content)
    return run_dir


def figures(sequence: int) -> MarkerFigures:
    return MarkerFigures(rss_bytes=sequence * MB, since_start_ms=1000 * sequence)


@given(rss_bytes=COUNTS, since_start_ms=COUNTS)
@example(rss_bytes=0, since_start_ms=0)
@example(rss_bytes=2**63 - 1, since_start_ms=2**63 - 1)
def test_two_records_take_the_place_of_a_marker(rss_bytes: int, since_start_ms: int) -> None:
    encoded = markers.encode_records(MarkerFigures(rss_bytes, since_start_ms))
    assert len(encoded) == len(marker(1)) == 40
    pages = rss_bytes // PAGE_BYTES * PAGE_BYTES
    assert read_memory_records(encoded) == [
        (pages + FIRST_FLAG, since_start_ms),
        (pages + SECOND_FLAG, since_start_ms),
    ]


@given(rss_bytes=COUNTS, since_start_ms=COUNTS)
def test_the_two_records_are_told_apart_and_from_memrays_own(
    rss_bytes: int, since_start_ms: int
) -> None:
    encoded = markers.encode_records(MarkerFigures(rss_bytes, since_start_ms))
    (first, _), (second, _) = read_memory_records(encoded)
    assert markers.is_flagged(first, FIRST_FLAG)
    assert not markers.is_flagged(first, SECOND_FLAG)
    assert markers.is_flagged(second, SECOND_FLAG)
    assert not markers.is_flagged(second, FIRST_FLAG)
    pages = rss_bytes // PAGE_BYTES * PAGE_BYTES
    assert not any(markers.is_flagged(pages, flag) for flag in (FIRST_FLAG, SECOND_FLAG))


@given(
    pieces=st.lists(
        st.binary(max_size=50).map(lambda junk: (junk, None))
        | st.integers(0, 10**30 - 1).map(lambda number: (marker(number), number)),
        min_size=1,
        max_size=8,
    ).filter(lambda pieces: any(piece for piece, _ in pieces))
)
def test_all_markers_are_found_wherever_they_lie(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[bytes, int | None]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "markers-found.bin"
    path.write_bytes(b"".join(piece for piece, _ in pieces))
    expected = []
    offset = 0
    for piece, number in pieces:
        if number is not None:
            expected.append((offset, number))
        offset += len(piece)
    assert markers.find(path, path.with_name("places"), 0) == expected


@pytest.mark.parametrize(
    "near_miss",
    [
        marker(1)[:-1] + b"x",
        marker(1)[:-2] + b"\x00",
        b"\x0b" + marker(1)[1:],
        marker(1).replace(b"memdeep", b"Memdeep"),
        marker(1).replace(b"00", b"0x", 1),
    ],
)
def test_what_only_looks_like_a_marker_is_left_alone(tmp_path: Path, near_miss: bytes) -> None:
    content = b"head" + near_miss + b"tail"
    assert align(run_with(tmp_path, content), figures) == (Alignment(()), content)


def test_alignment_replaces_markers_and_no_other_byte(tmp_path: Path) -> None:
    run_dir = run_with(tmp_path, b"head" + marker(7) + b"between" + marker(3) + b"tail")
    found, content = align(run_dir, figures)
    assert found.sequences == (7, 3)
    seventh, third = (markers.encode_records(figures(number)) for number in (7, 3))
    assert content == b"head" + seventh + b"between" + third + b"tail"


def test_sequence_numbers_come_in_the_order_of_the_capture(tmp_path: Path) -> None:
    content = b"".join(marker(number) for number in (5, 1, 4, 2, 3))
    found, _ = align(run_with(tmp_path, content), figures)
    assert found.sequences == (5, 1, 4, 2, 3)


def test_a_marker_that_the_journal_does_not_know_is_left_alone(tmp_path: Path) -> None:
    run_dir = run_with(tmp_path, marker(1) + marker(2))
    found, content = align(run_dir, lambda sequence: figures(1) if sequence == 1 else None)
    assert (found.sequences, found.others) == ((1,), {2})
    assert content == markers.encode_records(figures(1)) + marker(2)


def test_only_the_first_marker_of_a_number_is_replaced(tmp_path: Path) -> None:
    # A checkpoint in a signal handler makes the checkpoint it interrupts write its name again.
    run_dir = run_with(tmp_path, marker(1) + marker(2) + marker(1))
    found, content = align(run_dir, figures)
    assert found.sequences == (1, 2)
    assert content[80:] == marker(1)


def test_a_capture_whose_markers_are_replaced_needs_no_changes(tmp_path: Path) -> None:
    run_dir = run_with(tmp_path, b"head" + marker(2) + marker(1))
    first, content = align(run_dir, figures)
    keep(run_dir, content, first)
    again, read = align(run_dir, figures)
    assert read == content
    assert again == Alignment(first.sequences, markers=first.markers)


@pytest.mark.parametrize("done", [0, 4, 5, 20, 24, 43, 44, 60, 84])
def test_an_interrupted_seal_is_read_as_if_it_were_whole(tmp_path: Path, done: int) -> None:
    original = b"head" + marker(2) + marker(1)
    run_dir = run_with(tmp_path, original)
    whole, content = align(run_dir, figures)
    keep(run_dir, content[:done] + original[done:], whole)
    found, read = align(run_dir, figures)
    assert read == content
    assert found.sequences == whole.sequences


@pytest.mark.parametrize("content", ["x\n", "1\n", "1\t2\t3\n", "1\tx\n", "\xff"])
def test_a_damaged_list_of_markers_is_refused(tmp_path: Path, content: str) -> None:
    run_dir = run_with(tmp_path, marker(1))
    run_dir.markers().write_text(content, "latin-1")
    with pytest.raises(CaptureError) as caught:
        align(run_dir, figures)
    assert str(run_dir.markers()) in caught.value.message
    assert run_dir.capture().read_bytes() == marker(1)


def test_a_capture_that_is_a_directory_is_an_error_with_its_path(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    run_dir.markers().write_text("0\t1\n")
    run_dir.capture().mkdir()
    with pytest.raises(CaptureError) as caught:
        align(run_dir, figures)
    assert str(run_dir.capture()) in caught.value.message


@given(
    gaps=st.lists(st.integers(0, 200), min_size=1, max_size=6),
    chunk_bytes=st.integers(1, 120),
    stored=st.lists(st.integers(0, 1500), max_size=6),
)
def test_markers_are_found_wherever_the_pieces_of_a_file_end(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], chunk_bytes: int, stored: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces.bin"
    record = marker(7)
    content = b"".join(b"\x0a" * gap + record for gap in gaps)
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "CHUNK_BYTES", chunk_bytes)
        found = markers.find(path, path.with_name("places"), 0)
        records = markers._records(path, [(at, 9) for at in stored], 0)
    size = markers.RECORD_BYTES
    assert {at: what for (at, sequence), what in records.items() if sequence == 9} == {
        at: content[at : at + size] for at in stored if at + size <= len(content)
    }
    places = [sum(gaps[: n + 1]) + n * len(record) for n in range(len(gaps))]
    assert found == [(at, 7) for at in places]


def test_what_the_journal_lost_counts_for_no_other(tmp_path: Path) -> None:
    run_dir = run_with(tmp_path, marker(7) + marker(8))
    whole, content = align(run_dir, figures)
    keep(run_dir, content, whole)
    found, read = align(run_dir, lambda sequence: figures(sequence) if sequence == 8 else None)
    assert (found.sequences, found.others) == ((8,), {7})
    assert read == marker(7) + markers.encode_records(figures(8))


@pytest.mark.parametrize("offset", [10**6, 10**30])
def test_places_beyond_the_capture_are_left_alone(tmp_path: Path, offset: int) -> None:
    run_dir = run_with(tmp_path, b"nothing" + marker(7))
    run_dir.markers().write_text(f"{offset}\t1\n")
    assert align(run_dir, figures)[0].sequences == (7,)
