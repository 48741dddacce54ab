"""`journal.jsonl`: one event a line, written inside the program and read afterwards.

Owns that format, both ways; knows neither phases nor what the labels mean. Each line is complete
in itself and appended by a single write, so whatever ends the program, all lines but the last are
whole. This module imports next to nothing: the writing half runs inside the user's process.

A line has the keys ``n`` (sequence number), ``k`` (kind), ``t`` (microseconds since the program's
start) and, where they apply, ``rss`` (bytes), ``rf`` (those of them that map files or are shared),
``l`` (label), ``o`` (note), ``s`` (span number), ``th`` (thread name), ``ti`` (its identifier, if
it is not the main thread), ``ta`` (a number for the current task of an event loop), ``tp`` (the
span in which that task was made) and ``pid``. The start line adds ``mono`` and ``epoch``
(nanoseconds). The note of an end is the exception that left the span, that of the exit the one that
nobody caught. The label of the exit is empty, or tells of the request for memory that failed
(`encode_request`).
"""

from _json import encode_basestring_ascii  # the encoder behind `json`, without importing it

START = "S"
POINT = "C"
BEGIN = "B"
END = "E"
EXIT = "X"
PROBLEM = "P"
TRACE = "T"  # tracing starts; the note FROM_START says that it does so with the program
UNTRACE = "U"  # tracing stops before the program ends
FROM_START = "start"

CHECKPOINTS = (POINT, BEGIN, END)

MAX_TEXT = 10_000
MAX_TIME_S = 10 * 365 * 86_400  # ten years: no program runs so long


class Event:
    """One line of the journal, read back."""

    __slots__ = (
        "epoch_ns",
        "kind",
        "label",
        "monotonic_ns",
        "note",
        "pid",
        "rss_bytes",
        "rss_file_bytes",
        "sequence",
        "span",
        "task",
        "task_span",
        "thread",
        "thread_id",
        "time_us",
    )

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of an event."""
        get = fields.get
        self.sequence = count(get("n"))
        self.kind = str(fields["k"])
        self.time_us = count(get("t"), MAX_TIME_S * 1_000_000)
        self.rss_bytes = None if (rss := get("rss")) is None else count(rss)
        self.rss_file_bytes = None if (rss := get("rf")) is None else count(rss)
        self.label = readable(get("l", ""))
        self.note = None if (note := get("o")) is None else readable(note)
        self.span = None if (span := get("s")) is None else count(span)
        self.thread = None if (thread := get("th")) is None else readable(thread)
        self.thread_id = None if (thread := get("ti")) is None else count(thread, 2**64)
        self.task = None if (task := get("ta")) is None else count(task, 2**64)
        self.task_span = None if (span := get("tp")) is None else count(span)
        self.pid = None if (pid := get("pid")) is None else count(pid)
        self.monotonic_ns = self.epoch_ns = 0
        if self.pid is not None:  # the first line of a process has the clocks beside its number
            self.monotonic_ns = count(get("mono", 0))
            self.epoch_ns = count(get("epoch", 0))


def count(value: object, most: int = 2**63) -> int:
    """Return ``value`` if it is an int from 0 to below ``most``. Raises ValueError."""
    if not isinstance(value, int) or not 0 <= value < most:
        raise ValueError(f"not a count: {value!r}")
    return value


def readable(value: object) -> str:
    """Return a label as text that any encoding can carry: lone surrogates become U+FFFD."""
    text = str(value)[:MAX_TEXT]
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Strand = tuple[int, int, int]  # a thread's identifier, its task, that task's span; 0 means none
NO_STRAND: Strand = (0, 0, 0)
Resident = tuple["int | None", "int | None"]  # the RSS, and its part that maps files; bytes


def encode_start(pid: int, resident: Resident, monotonic_ns: int, epoch_ns: int) -> bytes:
    """Encode the first line: when the program started, on both clocks."""
    line = (
        f'{{"n":0,"k":"{START}","t":0,{_resident(resident)},"pid":{pid},'
        f'"mono":{monotonic_ns},"epoch":{epoch_ns}}}\n'
    )
    return line.encode("ascii")


def encode_event(
    kind: str,
    sequence: int,
    time_us: int,
    resident: Resident,
    label: str,
    note: "str | None",
    thread: str,
    span: int,
    strand: "Strand" = NO_STRAND,
) -> bytes:
    """Encode one event; ``span`` 0 means none. Label and note are cut at 10,000 characters."""
    text = encode_basestring_ascii(label if len(label) <= MAX_TEXT else label[:MAX_TEXT])
    extra = f',"s":{span}' if span else ""
    if strand is not NO_STRAND:
        for key, number in zip(("ti", "ta", "tp"), strand):  # noqa: B905 - it costs
            if number:
                extra += f',"{key}":{number}'
    if note is not None:
        extra += f',"o":{encode_basestring_ascii(note[:MAX_TEXT])}'
    line = (
        f'{{"n":{sequence},"k":"{kind}","t":{time_us},{_resident(resident)},'
        f'"th":{encode_basestring_ascii(thread)},"l":{text}{extra}}}\n'
    )
    return line.encode("ascii")


def encode_request(size_bytes: "int | None", frames: "list[tuple[str, int]]") -> str:
    """Encode a request for memory that failed as a label: its size, or nothing if it is not known.

    ``frames`` are the files and lines of the traceback, innermost first.
    """
    lines = [f"{lineno} {filename}" for filename, lineno in frames]
    return "\n".join(["" if size_bytes is None else str(size_bytes), *lines])


def decode_request(label: str) -> "tuple[int | None, list[tuple[str, int]]]":
    """Return the size and the frames; lines that are none are left out."""
    size, *lines = label.split("\n")
    split = [line.partition(" ") for line in lines]
    frames = [(filename, int(lineno)) for lineno, _, filename in split if _is_count(lineno)]
    return (int(size) if _is_count(size) else None), frames


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 20


def _resident(resident: Resident) -> str:
    rss_bytes, file_bytes = resident
    if file_bytes is None:
        return f'"rss":{"null" if rss_bytes is None else rss_bytes}'
    return f'"rss":{rss_bytes},"rf":{file_bytes}'


def decode(content: bytes) -> "tuple[list[Event], int]":
    """Return the events of a journal in the order written, and the number of damaged lines.

    A torn last line does not count as damaged if it begins like a line: the program died while
    writing it.
    """
    import json

    read_one = json.JSONDecoder().raw_decode  # what `json.loads` calls, without its checks
    events = []
    damaged = 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            text = line.decode("utf-8", "surrogatepass").strip(" \t\r")
            fields, end = read_one(text)
            if end != len(text):
                raise ValueError("more than one value")
            events.append(Event(fields))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_last = number == len(lines) - 1
            damaged += not (is_last and line.startswith(b"{") and b"\0" not in line)
    return events, damaged
