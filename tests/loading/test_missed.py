"""What the tracer missed is stated from some size on."""

from __future__ import annotations

from pathlib import Path

from factories import checkpoint

from memdeep.heap.parts import HeapPart, LostLines, Part, UnseenFrees
from memdeep.heap.replay.lifetimes import joined
from memdeep.loading.missed import LEAST_LOST_BYTES, LEAST_UNSEEN_BYTES, missed
from memdeep.model.statement import state


def part(
    lost: tuple[LostLines, ...] = (), unseen: UnseenFrees | None = None, in_subs: int = 0
) -> HeapPart:
    return HeapPart(
        part=Part(Path("capture.bin"), 0, 2, 1),
        at_checkpoints=(0, 0, 0),
        lifetimes=joined([]),
        peaks={},
        curve=(),
        peak_bytes=0,
        lost_lines=lost,
        unseen_frees=unseen,
        sub_interpreter_bytes=in_subs,
    )


def test_lost_lines_name_the_checkpoints_around_the_first() -> None:
    lost = (
        LostLines(None, 1, 9 * LEAST_LOST_BYTES, LEAST_LOST_BYTES),
        LostLines("loader", 2, LEAST_LOST_BYTES, LEAST_LOST_BYTES),
        LostLines("quiet", 2, 9 * LEAST_LOST_BYTES, LEAST_LOST_BYTES - 1),
    )
    points = [checkpoint(place, label) for place, label in enumerate(["begin", "middle", "end"])]
    assert list(missed([part(lost)], points)) == [
        state("problem.lost_lines", size_bytes=LEAST_LOST_BYTES, after="begin", before="middle"),
        state(
            "problem.lost_lines_of_thread",
            size_bytes=LEAST_LOST_BYTES,
            thread="loader",
            after="middle",
            before="end",
        ),
    ]


def test_unseen_frees_of_all_captures_count_together() -> None:
    half = UnseenFrees(3, LEAST_UNSEEN_BYTES // 2)
    assert list(missed([part(unseen=half)], [])) == []
    assert list(missed([part(unseen=half), part(), part(unseen=half)], [])) == [
        state("problem.unseen_frees", n=6, size_bytes=LEAST_UNSEEN_BYTES)
    ]


def test_what_sub_interpreters_allocated_is_not_said_twice() -> None:
    points = [checkpoint(0), checkpoint(1)]
    lost = (LostLines(None, 1, 10 * LEAST_LOST_BYTES, LEAST_LOST_BYTES),)
    said = list(missed([part(lost, in_subs=9 * LEAST_LOST_BYTES)], points))
    assert said == [state("problem.sub_interpreters", size_bytes=9 * LEAST_LOST_BYTES)]
    said = list(missed([part(lost, in_subs=8 * LEAST_LOST_BYTES)], points))
    assert [statement.key for statement in said] == [
        "problem.sub_interpreters",
        "problem.lost_lines",
    ]
