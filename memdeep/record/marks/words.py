"""Words that ask for checkpoints from outside, and the marks that they put in place.

A word is one of ``stdout:REGEX``, ``call:MODULE:QUALNAME[=LABEL]``, ``line:FILE:LINE[=LABEL]``,
``line:FILE:FUNCTION[=LABEL]``, ``every:SECONDS`` and ``grid:SECONDS``. How a kind works is known to
its own module alone, which is imported only if a word asks for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memdeep.record.marks.call import CallMark
    from memdeep.record.marks.every import EveryMark
    from memdeep.record.marks.line import LineMark
    from memdeep.record.marks.stdout import StdoutMark

    Mark = CallMark | EveryMark | LineMark | StdoutMark


class Marks:
    """Marks of this process, in place."""

    __slots__ = ("_close", "_marks")

    def __init__(self, marks: list[Mark], close: list[Callable[[], None]]) -> None:
        self._marks = marks
        self._close = close

    def unmet(self) -> list[str]:
        """End all marks; return a sentence on each that the program never met.

        Call it once, when the program has ended and checkpoints are still recorded: an unfinished
        last line of the output counts as a line now.
        """
        for close in self._close:
            close()
        sentences = (mark.complaint() for mark in self._marks)
        return [sentence for sentence in sentences if sentence is not None]


def check(word: str) -> str | None:
    """Return what is wrong with ``word`` in one sentence; None if nothing is."""
    try:
        _parse(word)
    except ValueError as error:
        return str(error)
    return None


def install(words: list[str]) -> Marks:
    """Put the marks of ``words`` in place. Raises ValueError if `check` has a complaint.

    They mark whenever `api` has a recorder, which may be set before or afterwards.
    """
    marks = [_parse(word) for word in words]
    close: list[Callable[[], None]] = []
    kinds = {word.partition(":")[0] for word in words}
    if "stdout" in kinds:
        from memdeep.record.marks import stdout

        watch = stdout.Watch([m for m in marks if isinstance(m, stdout.StdoutMark)])
        close.append(watch.close)
    if kinds & {"call", "line"}:
        from memdeep.record.marks import call, imports, line

        imports.plant(
            [mark for mark in marks if isinstance(mark, call.CallMark)],
            [mark for mark in marks if isinstance(mark, line.LineMark)],
        )
    if kinds & {"every", "grid"}:
        from memdeep.record.marks import every

        for mark in marks:
            if isinstance(mark, every.EveryMark):
                mark.start()
                close.append(mark.close)
    return Marks(marks, close)


def _parse(word: str) -> Mark:
    """Make the mark of ``word``. Raises ValueError with a sentence for the user."""
    kind, _, rest = word.partition(":")
    if kind == "stdout":
        from memdeep.record.marks.stdout import StdoutMark

        return StdoutMark(rest)
    if kind == "call":
        from memdeep.record.marks.call import CallMark

        return CallMark(rest)
    if kind == "line":
        from memdeep.record.marks.line import LineMark

        return LineMark(rest)
    if kind == "every":
        from memdeep.record.marks.every import EveryMark

        return EveryMark(rest)
    if kind == "grid":
        from memdeep.record.marks.every import EveryMark

        return EveryMark(rest, is_wanted=False)
    raise ValueError(f"{word}: there is no such kind of mark")
