"""Files of lines, however long: the first and the last are read, the left out are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memdeep.loading import journal as journal_file
from memdeep.loading.journal import MAX_LINES, read_journal, told_problems
from memdeep.rundir import journal, long_file
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import read_lines


@given(
    texts=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=200),
    torn=st.binary(max_size=10).map(lambda b: b.replace(b"\n", b"")),
    most=st.integers(32, 120),
    chunk_bytes=st.integers(1, 16),
)
@example(
    texts=[b"?!"], torn=b"?!", most=32, chunk_bytes=1
)  # begins as what is too long is replaced
def test_what_is_kept_and_what_is_left_out_are_all_there_is(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[bytes],
    torn: bytes,
    most: int,
    chunk_bytes: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    whole = [text + b"\n" for text in texts]
    path.write_bytes(b"".join([*whole, torn]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_file, "CHUNK_BYTES", chunk_bytes)
        read = read_lines(path, most, re.compile(b"!"))
    assert read.content.count(b"\n") + read.left_out == len(whole)
    kept = [line + b"\n" for line in read.content.split(b"\n")[:-1]]
    left = iter(whole)
    assert all(line in left for line in kept), "lines are changed, or out of order"
    assert [line for line in kept if b"!" in line] == [line for line in whole if b"!" in line]
    assert read.content.endswith(torn)
    assert kept[:1] == whole[:1]
    assert kept[-1:] == whole[-1:]


def test_a_line_without_an_end_takes_no_memory_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_file, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(long_file, "CHUNK_BYTES", 100)
    path = tmp_path / "lines"
    path.write_bytes(b"first\n" + b"x" * 100_000 + b"\nlast\n")
    content = read_lines(path, 10).content
    assert content.startswith(b"first\n")
    assert content.endswith(b"\nlast\n")
    assert len(content) < 2000


def test_a_journal_too_long_for_a_report_keeps_its_ends_and_what_explains_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.jsonl"
    count = 2 * MAX_LINES
    with open(path, "wb") as file:
        for number in range(1, count + 1):
            kind = journal.TRACE if number == count // 2 else journal.POINT
            file.write(event(kind, number, "x"))
    read = read_journal(path)
    numbers = [one.sequence for one in read.events]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (1, count)
    assert count // 2 in numbers
    assert len(numbers) <= MAX_LINES + 1
    (problem,) = read.problems
    assert f"{count - len(numbers):,} checkpoints in its middle were left out" in problem


@given(label=st.text())
def test_no_label_passes_for_what_explains_a_journal(label: str) -> None:
    assert journal_file._ALWAYS.search(event(journal.TRACE, 7, label))
    for trick in (label, f'","k":"T"{label}', f'\\","k":"T"{label}'):
        assert not journal_file._ALWAYS.search(event(journal.POINT, 7, trick))


def event(kind: str, number: int, label: str) -> bytes:
    return journal.encode_event(kind, number, number, (1, None), label, None, "", 0)


def test_looks_that_were_left_out_are_one_sentence() -> None:
    def told(*labels: str) -> list[Event]:
        lines = [
            journal.encode_event(journal.PROBLEM, number, 1, (1, 1), label, None, "", 0)
            for number, label in enumerate(labels, 1)
        ]
        return list(journal.decode(b"".join(lines))[0])

    still_on = "the looks before it were still on"
    one, two = (f"who holds the objects at {name} is not known: {still_on}" for name in "ab")
    assert told_problems(told("tracing has stopped", one)) == ["tracing has stopped", one]
    assert told_problems(told(one, "tracing has stopped", two)) == [
        "tracing has stopped",
        f"who holds the objects at 2 checkpoints (a, b) is not known: {still_on}",
    ]
    assert "at 6 checkpoints (a, b) is" in told_problems(told(*[one, two] * 3))[0]
