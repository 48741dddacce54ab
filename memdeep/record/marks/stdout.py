"""Checkpoints where the program prints certain lines; the output itself is left alone.

The streams stay the objects that Python made, with their buffers, so that every byte is written
where and when it would have been. Only their `write` is replaced, by an attribute of the object,
which `print` and all other callers find before the method of the type.
"""

from __future__ import annotations

import io
import re
import sys
from _thread import get_ident

from memdeep.record import api
from memdeep.record.marks.frame import between
from memdeep.record.recorder import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# ECMA-48: control sequences such as colours, operating system commands such as links, and the
# remaining escapes of two characters.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_MAX_LINE = 10_000  # characters of a line that are looked at; a label has no more
_CHUNK = 65_536


class StdoutMark:
    """`--mark-stdout REGEX`: each line that matches; its label is the first group, or the line."""

    __slots__ = ("_is_met", "_pattern", "_regex")

    def __init__(self, regex: str) -> None:
        """Raises ValueError with a sentence for the user."""
        self._regex = regex
        self._is_met = False
        try:
            self._pattern = re.compile(regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"--mark-stdout '{regex}': that is not a regular expression: {error}"
            ) from None

    def label(self, line: str) -> str | None:
        """Return the label of a checkpoint at ``line``; None if it does not match."""
        match = self._pattern.search(line)
        if match is None:
            return None
        self._is_met = True
        return (match[1] if self._pattern.groups else None) or line

    def complaint(self) -> str | None:
        """Return the sentence on a mark that was never met, else None."""
        return None if self._is_met else f"--mark-stdout '{self._regex}' matched no line"


class Watch:
    """Observer of all that is written to `sys.stdout` and to its `buffer`, until closed."""

    __slots__ = ("_bytes", "_encoding", "_hooks", "_marks", "_text", "_within")

    def __init__(self, marks: list[StdoutMark]) -> None:
        self._marks = marks
        self._hooks: list[tuple[Any, str, Any]] = []
        self._text = _Lines("", "\n", self._see)
        self._bytes = _Lines(b"", b"\n", self._see_bytes)
        self._encoding = "utf-8"
        self._within: dict[int, int] = {}
        stream = sys.stdout
        if isinstance(stream, io.TextIOWrapper):  # and not None, as in a daemon
            self._encoding = stream.encoding
            # The text layer passes its bytes on in these three; `close` and others use `flush`.
            self._hook(stream, "write", self._text_hook(stream.write, self._text.feed))
            self._hook(stream, "flush", self._text_hook(stream.flush, None))
            self._hook(stream, "tell", self._text_hook(stream.tell, None))
            self._hook(stream.buffer, "write", self._bytes_hook(stream.buffer.write))

    def close(self) -> None:
        """Restore the streams; a last line without a line end counts as a line."""
        for stream, name, hook in self._hooks:
            if stream.__dict__.get(name) is hook:
                delattr(stream, name)
        self._hooks = []
        self._guarded(self._text.end)
        self._guarded(self._bytes.end)

    def _hook(self, stream: object, name: str, hook: object) -> None:
        setattr(stream, name, hook)
        self._hooks.append((stream, name, hook))

    def _text_hook(
        self, original: Callable[..., Any], feed: Callable[[str], None] | None
    ) -> Callable[..., Any]:
        within = self._within

        def hook(*args: Any, **kwargs: Any) -> Any:
            thread = get_ident()
            depth = within.get(thread, 0)
            within[thread] = depth + 1
            try:
                result = original(*args, **kwargs)
            finally:
                if depth:
                    within[thread] = depth
                else:
                    del within[thread]
            if feed is not None:
                self._guarded(feed, args[0])
            return result

        return between(hook)

    def _bytes_hook(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if get_ident() not in self._within:  # and has been seen as text
                self._guarded(self._feed_bytes, args[0])
            return result

        return between(hook)

    def _feed_bytes(self, data: Any) -> None:
        with memoryview(data) as view, view.cast("B") as octets:
            for start in range(0, len(octets), _CHUNK):
                self._bytes.feed(bytes(octets[start : start + _CHUNK]))

    def _see_bytes(self, line: bytes) -> None:
        self._see(line.decode(self._encoding, "replace"))

    def _see(self, line: str) -> None:
        if "\x1b" in line:
            line = _ESCAPES.sub("", line)
        # What follows a carriage return is what a terminal shows.
        line = line.rstrip("\r").rpartition("\r")[2]
        labels = [mark.label(line) for mark in self._marks]
        label = next((label for label in labels if label is not None), None)
        if label is not None:
            api.checkpoint(label)

    def _guarded(self, see: Callable[..., None], *args: object) -> None:
        """Call ``see`` unless it has failed before: no error of ours may reach the program."""
        try:
            if self._marks:
                see(*args)
        except Exception as error:
            self._marks = []
            say(f"--mark-stdout does not go on: {error}")


class _Lines:
    """Lines put together from the pieces that each thread prints."""

    __slots__ = ("_emit", "_empty", "_end", "_pieces")

    def __init__(self, empty: Any, end: Any, emit: Callable[[Any], None]) -> None:
        """``empty`` and ``end`` are of the type of the pieces: text or bytes."""
        self._empty = empty
        self._end = end
        self._emit = emit
        self._pieces: dict[int, Any] = {}

    def feed(self, piece: Any) -> None:
        """Take a piece, and emit the lines that it completes."""
        begun = self._pieces.pop(get_ident(), self._empty)
        start = 0
        while (end := piece.find(self._end, start)) >= 0:
            self._emit(begun + piece[start : min(end, start + _MAX_LINE)])
            begun = self._empty
            start = end + 1
        rest = (begun + piece[start : start + _MAX_LINE])[:_MAX_LINE]
        if rest:
            self._pieces[get_ident()] = rest

    def end(self) -> None:
        """Emit the lines that have no line end yet."""
        while self._pieces:
            self._emit(self._pieces.popitem()[1])
