"""Who called the library whose own thread allocated."""

from __future__ import annotations

from factories import MB, analysed, frame, lifetime, run, tree

from memdeep.model import Frame, Origin

MAIN, OTHER = (Frame(name, "", 0, Origin.THREAD) for name in ("MainThread", "rayon-1"))
LIBRARY = Frame("<unknown>", "_engine.so", 0, Origin.NATIVE)
JOIN, SORT = frame("join", lineno=10), frame("sort", lineno=20)


def called_by(*segments: tuple[Frame, int, int | None]) -> tuple[Frame, ...]:
    """The callers of 30 MB that the library's thread keeps; others: (line, segment, end)."""
    stacks, nodes = tree([OTHER, LIBRARY], *([MAIN, line, LIBRARY] for line, *_ in segments))
    lives = [lifetime(nodes[0], 2, bytes=30 * MB)]
    for node, (_, born, died) in zip(nodes[1:], segments, strict=True):
        lives.append(lifetime(node, born, died, bytes=MB))
    made = analysed(run("+load", "-load", "+later", "-later"), stacks, lives)
    return made.findings[0].called_by


def test_the_line_that_called_the_library_in_the_phase_is_named() -> None:
    assert called_by((JOIN, 2, None), (SORT, 4, None)) == (JOIN,)


def test_bytes_that_are_gone_tell_it_too() -> None:
    assert called_by((SORT, 2, 3)) == (SORT,)


def test_a_call_in_another_phase_tells_nothing() -> None:
    assert called_by((SORT, 4, None)) == ()


def test_a_library_that_the_main_thread_did_not_call_has_no_caller() -> None:
    assert called_by() == ()
