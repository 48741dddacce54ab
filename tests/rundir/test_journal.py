"""The journal keeps every event whatever its text, and reads back whatever a crash left."""

from __future__ import annotations

import json
import re

import pytest
from factories import ANY_TEXT, COUNTS
from hypothesis import example, given
from hypothesis import strategies as st

from memdeep.rundir import journal
from memdeep.rundir.journal import Event

RESIDENT = st.tuples(COUNTS, st.none() | COUNTS) | st.just((None, None))


def encode(label: str = "load", **changes: object) -> bytes:
    fields: dict[str, object] = {
        "kind": journal.POINT,
        "sequence": 1,
        "time_us": 2,
        "resident": (3, 1),
        "note": None,
        "thread": "MainThread",
        "span": 0,
    }
    return journal.encode_event(label=label, **{**fields, **changes})  # type: ignore[arg-type]


def decode_one(line: bytes) -> Event:
    events, damaged = journal.decode(line)
    assert damaged == 0
    assert len(events) == 1
    return events[0]


def readable(text: str) -> str:
    """Pairs of surrogates joined to the character they stand for, all others replaced."""
    joined = re.sub(
        "[\ud800-\udbff][\udc00-\udfff]",
        lambda pair: chr(0x10000 + ((ord(pair[0][0]) & 0x3FF) << 10) + (ord(pair[0][1]) & 0x3FF)),
        text,
    )
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


@given(label=ANY_TEXT, note=st.none() | ANY_TEXT, thread=ANY_TEXT)
@example(label="\ud83d", note="\udc80x", thread="\udfff\ud800")
@example(label="a\nb\x00\x1b\u2028", note="", thread='"\\')
def test_any_text_comes_back(label: str, note: str | None, thread: str) -> None:
    event = decode_one(encode(label, note=note, thread=thread))
    assert event.label == readable(label)
    assert event.note == (None if note is None else readable(note))
    assert event.thread == readable(thread)


@given(
    kind=st.sampled_from("CBEXP"),
    sequence=COUNTS,
    time_us=st.integers(0, journal.MAX_TIME_S * 1_000_000 - 1),
    resident=RESIDENT,
    span=st.integers(1, 2**63 - 1),
)
def test_all_figures_come_back(
    kind: str, sequence: int, time_us: int, resident: journal.Resident, span: int
) -> None:
    event = decode_one(
        encode(kind=kind, sequence=sequence, time_us=time_us, resident=resident, span=span)
    )
    assert (event.kind, event.sequence, event.time_us) == (kind, sequence, time_us)
    assert (event.rss_bytes, event.rss_file_bytes, event.span) == (*resident, span)


def test_span_zero_means_no_span() -> None:
    assert decode_one(encode(span=0)).span is None


@given(pid=COUNTS, resident=RESIDENT, monotonic_ns=COUNTS, epoch_ns=COUNTS)
def test_the_start_line_comes_back(
    pid: int, resident: journal.Resident, monotonic_ns: int, epoch_ns: int
) -> None:
    event = decode_one(journal.encode_start(pid, resident, monotonic_ns, epoch_ns))
    assert (event.kind, event.sequence, event.time_us) == (journal.START, 0, 0)
    assert (event.pid, event.rss_bytes, event.rss_file_bytes) == (pid, *resident)
    assert (event.monotonic_ns, event.epoch_ns) == (monotonic_ns, epoch_ns)


@given(text=ANY_TEXT)
def test_an_event_is_one_line_of_ascii(text: str) -> None:
    line = encode(text, note=text, thread=text)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1


@pytest.mark.parametrize("length", [9_999, 10_000, 10_001, 50_000])
def test_labels_and_notes_are_cut_at_ten_thousand_characters(length: int) -> None:
    event = decode_one(encode("é" * length, note="🚀" * length))
    assert event.label == "é" * min(length, 10_000)
    assert event.note == "🚀" * min(length, 10_000)


def test_events_keep_the_order_they_were_written_in() -> None:
    content = b"".join(encode(str(number), sequence=9 - number) for number in range(5))
    events, _ = journal.decode(content)
    assert [event.label for event in events] == ["0", "1", "2", "3", "4"]


def test_an_empty_journal_has_no_events() -> None:
    assert journal.decode(b"") == ([], 0)


@given(cut=st.integers(0, 200))
def test_a_torn_last_line_is_not_damage(cut: int) -> None:
    whole, last = encode("first"), encode("second")
    events, damaged = journal.decode(whole + last[: min(cut, len(last) - 2)])
    assert [event.label for event in events] == ["first"]
    assert damaged == 0


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"{}",
        b'{"n":1,"k":"C"}',
        b'{"n":1,"t":1}',
        b'{"n":-1,"k":"C","t":1}',
        b'{"n":1.5,"k":"C","t":1}',
        b'{"n":1,"k":"C","t":"1"}',
        b'{"n":1,"k":"C","t":1,"rss":-5}',
        b'{"n":1,"k":"C","t":1,"rss":5,"rf":"x"}',
        b'{"n":99999999999999999999,"k":"C","t":1}',
        b'{"n":' + b"9" * 5000 + b',"k":"C","t":1}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_line_is_counted_and_left_out(line: bytes) -> None:
    events, damaged = journal.decode(encode("before") + line + b"\n" + encode("after"))
    assert [event.label for event in events] == ["before", "after"]
    assert damaged == 1


@given(content=st.binary(max_size=300))
@example(content=b"\x00\n\xff\n{}\n")
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    events, damaged = journal.decode(content)
    assert len(events) + damaged <= content.count(b"\n") + 1


ODD_VALUES: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1, 0, 1, 2**64, 0.5, 1e300, float("nan"), "", "\ud800", [], ["\udfff"], {}]
)


@given(
    fields=st.dictionaries(
        st.sampled_from(["n", "k", "t", "rss", "rf", "l", "o", "s", "th", "pid", "mono", "epoch"]),
        ODD_VALUES | ANY_TEXT,
    )
)
def test_no_fields_crash_the_reader(fields: dict[str, object]) -> None:
    events, damaged = journal.decode(json.dumps(fields).encode() + b"\n")
    assert len(events) + damaged == 1
    for event in events:
        assert event.label.encode("utf-8").decode("utf-8") == event.label


@given(content=st.binary(max_size=120).filter(lambda content: b"\n" not in content))
def test_events_around_garbage_survive_it(content: bytes) -> None:
    events, _ = journal.decode(encode("before") + content + b"\n" + encode("after"))
    assert events[0].label == "before"
    assert events[-1].label == "after"


@given(strand=st.tuples(COUNTS, COUNTS, COUNTS))
def test_a_strand_comes_back_and_zeros_are_left_out(strand: tuple[int, int, int]) -> None:
    line = encode(strand=strand)
    event = decode_one(line)
    found = (event.thread_id, event.task, event.task_span)
    assert found == tuple(number or None for number in strand)
    assert line.count(b'"t') == 2 + sum(number > 0 for number in strand)
