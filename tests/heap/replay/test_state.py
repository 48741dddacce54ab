"""A replay that is saved and loaded goes on as if it had never stopped; the rest is refused."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import PROGRAMS
from streams import Program, everything, loaded, programs, saved, written

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

EVERYWHERE = array("Q", [0, 1 << 15, 1 << 16]), array("Q", [1 << 15, 1 << 16, 1 << 50])


def asking(cuts: Iterable[int], moments: Iterable[tuple[int, bool]]) -> Replay:
    """A replay that was asked to cut at these times, and to look and list at these moments."""
    replay = _replay.Replay()
    for after, time_ms in enumerate(sorted(cuts)):
        replay.cut(time_ms, after // 2)
    start, end = (column.tobytes() for column in EVERYWHERE)
    for place, is_name in moments:
        replay.look(place, is_name, start, end, bytes([1, 0, 1]))
        replay.list_at(place, is_name)
    return replay  # type: ignore[no-any-return]


def fed(replay: Replay, content: bytes, stops: Iterable[int], through_state: bool) -> Replay:
    """Feed ``content``, saving at every stop; go on with the replay or with what was loaded."""
    done = 0
    for stop in sorted(stops):
        replay.feed(content[done:stop])
        done = stop
        state = saved(replay)
        if through_state:
            replay = loaded(state)
            assert replay.position() == stop
    replay.feed(content[done:])
    return replay


cuts = st.lists(st.integers(0, 300), max_size=4)
moments = st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=4)


@examples(200)
@given(
    data=st.data(),
    program=programs,
    version=st.sampled_from([12, 13]),
    cuts=cuts,
    moments=moments,
)
def test_a_replay_goes_on_from_any_byte_as_if_it_had_never_stopped(
    data: st.DataObject,
    program: Program,
    version: int,
    cuts: list[int],
    moments: list[tuple[int, bool]],
) -> None:
    content = written(program, version).content
    stops = data.draw(st.lists(st.integers(0, len(content)), min_size=1, max_size=4))
    whole = everything(fed(asking(cuts, moments), content, [], through_state=False))
    assert everything(fed(asking(cuts, moments), content, stops, through_state=True)) == whole
    assert everything(fed(asking(cuts, moments), content, stops, through_state=False)) == whole


@examples(200)
@given(data=st.data(), program=programs, cuts=cuts)
def test_what_was_kept_is_told_later_as_it_would_have_been_at_once(
    data: st.DataObject, program: Program, cuts: list[int]
) -> None:
    content = written(program).content
    stops = data.draw(st.lists(st.integers(0, len(content)), max_size=3))
    places, (start, end) = range(1, 9), (column.tobytes() for column in EVERYWHERE)
    whole = asking(cuts, [])
    for place in places:
        whole.look(place, False, start, end, bytes([1, 0, 1]))
    whole.feed(content)
    later, done = asking(cuts, []), 0
    for stop in [*sorted(stops), len(content)]:
        for place in places:
            later.keep_at(place)
        later.feed(content[done:stop])
        done, later = stop, loaded(saved(later))
    for place in places:
        later.look(place, False, start, end, bytes([1, 0, 1]))
        later.let_go(place)
    later = loaded(saved(later))
    whole.finish()
    later.finish()
    assert sorted(later.looks(), key=place_of) == sorted(whole.looks(), key=place_of)


def place_of(found: tuple[int, bool, dict[str, bytes]]) -> int:
    return found[0]


def test_what_is_kept_takes_room_until_it_is_let_go() -> None:
    def size(turns: int, *, is_over: bool) -> int:
        writer = CaptureWriter()
        writer.push("turn")
        writer.aligned_marker(4096, 5)
        for turn in range(turns):
            writer.allocate(0x9000000 + 64 * turn, 40)
        writer.aligned_marker(4096, 6)
        for turn in range(turns):
            writer.free(0x9000000 + 64 * turn)
            writer.allocate(0x9000000, 40)
            writer.free(0x9000000)
        replay = _replay.Replay()
        replay.keep_at(2)
        replay.feed(writer.content)
        if is_over:
            replay.let_go(2)
        return len(saved(replay))

    assert size(5000, is_over=False) > size(50, is_over=False) + 4900 * 32
    assert size(5000, is_over=True) < size(50, is_over=True) + 32


def test_nothing_is_cut_that_was_forgotten() -> None:
    replay = asking([10, 20, 30], [(1, False), (3, True)])
    replay.feed(CaptureWriter().content)
    replay.forget_future()
    assert replay.cuts_made() == []
    assert len(saved(replay)) == len(
        saved(fed(_replay.Replay(), CaptureWriter().content, [], False))
    )


def test_no_order_depends_on_where_it_was_stopped() -> None:
    writer = CaptureWriter()
    for number in range(200):
        writer.push(f"first {number}")
        writer.allocate(0x10000 + 64 * number, 32)
        writer.pop()
    writer.marker(1)
    for number in range(200):
        writer.free(0x10000 + 64 * (199 - number))
        writer.push(f"second {number}")
        writer.allocate(0x90000 + 64 * number, 32)
        writer.pop()
    writer.marker(2)
    whole = everything(fed(_replay.Replay(), writer.content, [], through_state=False))
    ends = list(writer.ends_of_records())
    for stop in (ends[-50], ends[-301], ends[-302], ends[-480]):
        for through_state in (False, True):
            again = fed(_replay.Replay(), writer.content, [stop], through_state)
            assert everything(again) == whole


def test_what_is_gone_takes_no_room() -> None:
    def size(turns: int) -> int:
        writer = CaptureWriter()
        writer.push("turn")
        for turn in range(turns):
            writer.mmap(0x100000 + 0x10000 * (turn % 7), 0x8000)
            writer.allocate(0x9000000 + 64 * (turn % 5), 40)
            writer.munmap(0x100000 + 0x10000 * (turn % 7), 0x8000)
            writer.free(0x9000000 + 64 * (turn % 5))
        return len(saved(fed(_replay.Replay(), writer.content, [], through_state=False)))

    assert size(5000) == size(50)


@examples(100)
@given(content=st.binary(max_size=300), program=programs, at=st.integers(0, 2000))
def test_damage_is_kept_too(content: bytes, program: Program, at: int) -> None:
    good = written(program).content
    at = min(at, len(good))
    bad = good[:at] + content + good[at:]
    stops = [len(bad) * part // 5 for part in range(1, 6)]
    whole = everything(fed(_replay.Replay(), bad, [], through_state=False))
    assert everything(fed(_replay.Replay(), bad, stops, through_state=True)) == whole


@pytest.fixture(scope="module", params=[["--native"], ["--trace-python-allocators"]], ids=str)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The capture of a program with threads."""
    path = tmp_path_factory.mktemp("real") / "capture.bin"
    command = [sys.executable, "-m", "memray", "run", "--quiet", "--no-compress", *request.param]
    words = ["-o", path, PROGRAMS / "threads_allocate.py"]
    subprocess.run([*command, *words], check=True, capture_output=True)
    return path.read_bytes()


def test_a_real_capture_goes_on_from_any_byte(real: bytes) -> None:
    stops = [len(real) * part // 7 + part for part in range(7)]
    whole = everything(fed(asking([5, 40], [(1, False)]), real, [], through_state=False))
    assert everything(fed(asking([5, 40], [(1, False)]), real, stops, through_state=True)) == whole
    assert len(whole["columns"]["site_node"]) > 400
    state = saved(fed(_replay.Replay(), real, [], through_state=False))
    assert len(saved(loaded(state))) == len(state)  # in an order of its own


@lru_cache(maxsize=1)
def a_state() -> bytes:
    """One with something of everything."""
    names = ["malloc", "push", "malloc", "marker", "mmap", "native", "malloc", "modules", "memory"]
    words: dict[str, tuple[Any, ...]] = {
        "malloc": (0x9000, 40_000, 6),
        "push": ("alpha", True),
        "mmap": (0x8000000, 8192),
        "native": (0,),
        "modules": (1,),
        "memory": (5,),
    }
    replay = asking([0, 9], [(1, True), (1, False), (7, True)])
    content = written([(name, *words.get(name, ())) for name in names]).content
    replay.feed(content[:-1] + b"\x0abegun")
    return saved(replay)


def reason(state: bytes) -> str:
    """Why ``state`` is refused."""
    with pytest.raises(ValueError, match="^it |^what ") as refused:
        loaded(state)
    return str(refused.value)


def test_what_is_cut_off_anywhere_is_refused() -> None:
    state = a_state()
    assert loaded(state).position() > 0
    reasons = {reason(state[:size]) for size in range(len(state))}
    assert reasons == {"it is cut off"}


def test_what_was_changed_anywhere_is_refused() -> None:
    state = a_state()
    for place in range(len(state)):
        changed = bytearray(state)
        changed[place] ^= 1 << place % 8
        why = reason(bytes(changed))
        if place < 8:
            assert why == "it is no saved state"
        elif place < 16:
            assert why == "it was saved by another version"
        elif place < len(state) - 16:
            assert why in ("it is damaged", "it is cut off")
    assert reason(state + bytes(8)) == "it is cut off"
    assert reason(b"memray\0" + state) == "it is no saved state"


def test_what_cannot_be_written_or_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    replay = _replay.Replay()
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="space"):
        replay.save(full.fileno())
    with pytest.raises(OSError, match="descriptor"):
        replay.save(-1)
    with pytest.raises(OSError, match="descriptor"):
        _replay.load(-1)
    path = tmp_path / "state"
    path.touch()
    with path.open("rb") as empty, pytest.raises(ValueError, match="it is cut off"):
        _replay.load(empty.fileno())
    with path.open("wb") as file:  # may not be read
        replay.save(file.fileno())
        with pytest.raises(OSError, match="descriptor"):
            _replay.load(file.fileno())
    replay.finish()
    with path.open("wb") as file, pytest.raises(ValueError, match="finished"):
        replay.save(file.fileno())
