"""What the program writes of its mappings is what it read, however much of it is the same."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdeep.record import mappings as record
from memdeep.rundir import mappings

pytestmark = pytest.mark.skipif(not Path(record.SMAPS).exists(), reason="the system tells none")

PAGE = 4096
LINES = ("Size:", "Rss:", "Pss:", "Anonymous:", "Swap:", "VmFlags:")
Layout = dict[int, tuple[int, int]]  # by place: resident kB, anonymous of them


def smaps(layout: Layout) -> bytes:
    """Mappings of a page or some, a few of them with long paths."""
    found = []
    for place, (rss, own) in sorted(layout.items()):
        path = "/usr/lib/" + "x" * 200 if place % 3 else ""
        start = place * 64 * PAGE
        found.append(f"{start:08x}-{start + 8 * PAGE:08x} rw-p 00000000 fe:00 {place} {path}\n")
        sizes = {"Rss:": rss, "Anonymous:": own}
        found += [f"{name:<16}{sizes.get(name, place):>8} kB\n" for name in LINES[:-1]]
        found.append("VmFlags: rd wr\n")
    return "".join(found).encode()


layouts = st.dictionaries(
    st.integers(1, 120), st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=40
)
changes = st.dictionaries(
    st.integers(1, 120), st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4
)


@st.composite
def histories(draw: st.DrawFn) -> list[Layout]:
    """Layouts of which each has a little that is not as in the one before."""
    found = [draw(layouts)]
    for change in draw(st.lists(changes, max_size=12)):
        after = {**found[-1], **{place: one for place, one in change.items() if one is not None}}
        for place, one in change.items():
            if one is None:
                after.pop(place, None)
        found.append(after)
    return found


@pytest.fixture(autouse=True)
def of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be read for the kernel's, and as often as it is asked."""
    monkeypatch.setattr(record, "SMAPS", str(tmp_path / "smaps"))
    monkeypatch.setattr(record, "CREDIT_NS", 1 << 60)
    monkeypatch.setattr(record, "LONGEST_NS", 1 << 60)
    monkeypatch.setattr(record, "SLOTS", record.SLOTS)  # a test changes it


def made(directory: Path) -> record.MappingReader:
    """One that reads in pieces of whole mappings, as the kernel gives them."""
    found = record.MappingReader(str(directory))
    read = found._read

    def pieces(file: int, size: int) -> bytes:
        chunk = read(file, 2048)
        while chunk and not chunk.endswith(b"VmFlags: rd wr\n"):
            chunk += read(file, 1)
        return chunk

    found._read = pieces
    return found


def written(reader: record.MappingReader, directory: Path, history: list[Layout]) -> bytes:
    for sequence, layout in enumerate(history):
        (directory / "smaps").write_bytes(smaps(layout))
        reader(sequence, (sequence << 30, 0, 0))
    return (directory / "mappings").read_bytes()


def figures(layout: Layout) -> list[tuple[int, int, int]]:
    return [
        (place * 64 * PAGE, 1024 * rss, 1024 * min(own, rss) if place % 3 else 1024 * rss)
        for place, (rss, own) in sorted(layout.items())
    ]


def told(reading: mappings.Reading) -> list[tuple[int, int, int]]:
    return [(one.start, one.rss_bytes, one.anonymous_bytes) for one in reading.mappings]


@given(
    history=histories(),
    cut=st.integers(0, 1 << 20),
    stay=st.sets(st.integers(0, 12)),
    slots=st.sampled_from([4, 16, 1024]),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_reading_comes_back_as_it_was(
    tmp_path: Path, history: list[Layout], cut: int, stay: set[int], slots: int
) -> None:
    """However few of the groups there is room to know."""
    record.SLOTS = slots
    content = written(made(tmp_path), tmp_path, history)
    found, lost = mappings.decode(content)
    assert lost == 0
    assert [one.sequence for one in found] == list(range(len(history)))
    assert list(map(told, found)) == list(map(figures, history))
    # In pieces, as it grows.
    decoder, at = mappings.Decoder(), cut % (len(content) + 1)
    parts = [*decoder.take(content[:at]), *decoder.take(content[at:])]
    assert list(map(told, parts)) == list(map(told, found))
    # And without some.
    fewer, _ = mappings.decode(mappings.kept(content, stay))
    assert [one.sequence for one in fewer] == [
        one.sequence for one in found if one.sequence in stay or not one.sequence
    ]
    assert [told(one) for one in fewer] == [told(found[one.sequence]) for one in fewer]
    # A damaged one costs those of its series at most, and makes up nothing.
    damaged = content[:at] + content[at + 1 :]
    for one in mappings.decode(damaged)[0]:
        if one.sequence < len(history) and content[:at].count(b"\nR ") > one.sequence + 1:
            assert told(one) == figures(history[one.sequence])


def test_what_is_the_same_takes_no_room(tmp_path: Path) -> None:
    reader = made(tmp_path)
    layout: Layout = dict.fromkeys(range(1, 120), (4, 2))
    whole = len(written(reader, tmp_path, [layout]))
    content = written(reader, tmp_path, [layout | {9: (number % 4, 0)} for number in range(50)])
    assert len(content) < 3 * whole
    assert len(mappings.decode(content)[0]) == 50  # the first has the figures of the one before


def test_one_that_was_not_finished_costs_no_other(tmp_path: Path) -> None:
    reader = made(tmp_path)
    layout: Layout = dict.fromkeys(range(1, 120), (4, 2))
    written(reader, tmp_path, [layout])
    lines = smaps(layout | {9: (1, 1)}).splitlines(keepends=True)
    (tmp_path / "smaps").write_bytes(b"".join([*lines[:-2], lines[-1]]))  # of another shape
    reader(7, (1 << 40, 0, 0))
    (tmp_path / "smaps").write_bytes(smaps(layout))
    reader(8, (1 << 41, 0, 0))
    found, lost = mappings.decode((tmp_path / "mappings").read_bytes())
    assert lost == 0
    assert [one.sequence for one in found] == [0, 8]
    assert told(found[1]) == figures(layout)


@pytest.mark.parametrize("resident_mb", [5, 29, 60])
def test_pages_of_what_is_resident_in_part_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident_mb: int
) -> None:
    monkeypatch.setattr(record, "SMAPS", "/proc/self/smaps")
    size = resident_mb << 20
    memory = mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[: size : mmap.PAGESIZE] = b"x" * (size // mmap.PAGESIZE)
    record.MappingReader(str(tmp_path))(1, (0, 0, 0))
    (reading,), _ = mappings.decode((tmp_path / "mappings").read_bytes())
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    (found,) = (one for one in reading.mappings if one.start <= start < one.end)
    assert {*found.samples} == {True, False}
