"""Segments that are merged are as if the markers between them had never been there."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from captures import MALLOC
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from streams import Program, everything, loaded, programs, saved, written

from memdeep.heap.replay.trace import Cut

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PAGE = 4096
MARKERS = ("marker", "aligned")
_places = st.integers(1, 6).map(lambda number: number * 32 * PAGE)
# Much is born, outlives some markers and goes.
_steps = st.one_of(
    st.tuples(st.just("malloc"), _places, st.integers(1, 30 * PAGE), st.just(MALLOC)),
    st.tuples(st.just("malloc"), _places, st.integers(1, 30 * PAGE), st.just(MALLOC)),
    st.tuples(st.just("free"), _places),
    st.tuples(st.just("free"), _places),
    st.tuples(st.just("mmap"), _places, st.integers(1, 8).map(lambda pages: pages * PAGE)),
    st.tuples(st.just("munmap"), _places, st.integers(1, 8).map(lambda pages: pages * PAGE)),
    st.tuples(st.just("push"), st.sampled_from(["alpha", "beta"]), st.booleans()),
    st.tuples(st.just("switch"), st.integers(1, 2)),
    st.tuples(st.just("memory"), st.integers(0, 9)),
    st.tuples(st.just("marker")),
    st.tuples(st.just("marker")),
    st.tuples(st.just("aligned")),
)
busy = st.lists(_steps, min_size=30, max_size=120)
NOT_TOLD = ("records",)


def numbered(program: Program) -> list[tuple[tuple[Any, ...], int]]:
    """The steps with the number of the marker that each sets, -1 for others."""
    found, markers = [], 0
    for step in program:
        if step[0] == "again":  # the same name once more, which nobody sets so much later
            continue
        if step[0] == "mmap" and not step[2]:  # which no kernel maps: counted to a segment's end
            continue
        is_marker = step[0] in MARKERS
        found.append((step, markers if is_marker else -1))
        markers += is_marker
    return found


def segments(replay: Replay) -> int:
    return len(replay.sequences(0)) // 8


def rows(columns: dict[str, bytes], names: dict[str, str]) -> Counter[tuple[int, ...]]:
    """The rows of these columns, whatever their order."""
    return Counter(zip(*(array(kind, columns[name]) for name, kind in names.items()), strict=True))


def figures(replay: Replay) -> dict[str, Any]:
    """What a replay tells, but for the order of rows, numbers of markers, and times at markers."""
    told = everything(replay)
    columns = told["columns"]
    windows = list(
        zip(
            *(
                array(kind, columns[f"window_{name}"])
                for name, kind in (("cut", "I"), ("segment", "I"), ("heap", "Q"), ("peak", "Q"))
            ),
            strict=True,
        )
    )
    largest = rows(columns, {f"large_{name}": "I" for name in ("site", "born", "died")})
    own = {"own_segment": "I", "own_thread": "Q", "own_peak": "Q"}
    life = {"place": "I", "born": "I", "died": "I", "bytes": "q", "count": "q"}
    tree = ("site_", "node_", "frame_", "native_", "lost_")
    return {
        "windows": [window for window in windows if window[0] != Cut.END],
        "end": windows[-1][2:],
        "largest": largest,
        "own": rows(columns, own),
        "kept": rows(told["kept"], life),
        "passed": rows(told["passed"], life),
        "peaks": [rows(peak, {"node": "I", "held": "q", "count": "q"}) for peak in told["peaks"]],
        "tree": {name: column for name, column in columns.items() if name.startswith(tree)},
        "natives": columns["segment_natives"],
        "setters": columns["segment_setter"],
        "totals": {name: one for name, one in told["totals"].items() if name not in NOT_TOLD},
        "names": told["names"],
    }


@examples(300)
@given(data=st.data(), program=st.one_of(busy, busy, programs))
def test_what_is_merged_is_as_if_the_markers_had_never_been_there(
    data: st.DataObject, program: Program
) -> None:
    steps = numbered(program)
    writer = written([step for step, _ in steps])
    content = writer.content
    ends = list(writer.ends_of_records())
    stops = sorted(
        len(content) - data.draw(st.sampled_from([len(content) - end for end in reversed(ends)]))
        for _ in range(data.draw(st.integers(1, 3)))
    )
    replay = _replay.Replay()
    gone: set[int] = set()
    done = 0
    for stop in stops:
        replay.feed(content[done:stop])
        done = stop
        count = segments(replay)
        begun = [number for number in range(len(steps)) if number not in gone][: count - 1]
        until = count - 1 - data.draw(st.integers(0, count - 1))
        starts = sorted(data.draw(st.sets(st.integers(1, until - 1)))) if until > 1 else []
        merges = replay.merges()
        replay.merge(until, array("I", starts).tobytes(), 0)
        assert replay.merges() == merges + 1
        gone |= {begun[one - 1] for one in range(1, until) if one not in starts}
        assert segments(replay) == count - max(0, until - 1 - len(starts))
        if data.draw(st.booleans()):
            replay = loaded(saved(replay))
            assert replay.merges() == merges + 1
    replay.feed(content[done:])
    bare = written([step for step, number in steps if number not in gone])
    other = _replay.Replay()
    other.feed(bare.content)
    merged, never = figures(replay), figures(other)
    for name in never:
        assert merged[name] == never[name], name
