"""What was there before a capture, in the books of the replay; held against plain lists."""

from __future__ import annotations

from collections import Counter
from tempfile import TemporaryFile

import pytest
from captures import CaptureWriter, at_peaks, lifetimes
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.heap.replay.trace import Cut, Trace
from memdeep.rundir.earlier import BLOCK, MAPPING, encode

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PAGE = 4096
BASE = 0x7000_0000_0000
MAPPED = 0x7100_0000_0000
MAIN, OTHER = 1, 2


def replayed(writer: CaptureWriter, records: list[tuple[int, int, int]]) -> Trace:
    writer.trailer()
    replay = _replay.Replay()
    assert replay.put_in_earlier(encode(records))
    replay.feed(writer.content)
    replay.finish()
    return Trace(replay)


def address(place: int) -> int:
    return BASE + place * (1 << 20)


BEFORE = st.dictionaries(st.integers(0, 9), st.integers(1, 200_000), max_size=8)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["malloc", "free", "marker", "marker", "munmap"]),
        st.integers(0, 9),
        st.integers(1, 200_000),
        st.sampled_from([MAIN, OTHER]),
    ),
    max_size=40,
)


@examples(200)
@given(BEFORE, st.integers(0, 9), STEPS)
def test_the_heap_and_what_threads_freed_of_it(
    before: dict[int, int], pages: int, steps: list[tuple[str, int, int, int]]
) -> None:
    records = [(BLOCK, address(place), size) for place, size in before.items()]
    records += [(MAPPING, MAPPED, pages * PAGE)] if pages else []
    writer = CaptureWriter()
    own: dict[int, int] = {}
    left = dict(before)
    mapped = set(range(pages))
    heaps, freed = [sum(left.values()) + PAGE * pages], Counter[int]()
    unknown = sequence = 0
    for what, place, size, thread in steps:
        writer.switch(thread)
        if what == "malloc":
            own[place] = size
            left.pop(place, None)  # nobody saw how it was freed
            writer.allocate(address(place), size)
        elif what == "free":
            writer.free(address(place))
            if place in own:
                del own[place]
            elif place in left:
                freed[thread] += left.pop(place)
            else:
                unknown += 1
        elif what == "munmap":
            writer.munmap(MAPPED + place * PAGE, PAGE)
            if place in mapped:
                mapped.remove(place)
                freed[thread] += PAGE
        else:
            sequence += 1
            writer.marker(sequence)
            heaps.append(sum(own.values()) + sum(left.values()) + PAGE * len(mapped))
    trace = replayed(writer, records)
    totals = trace.totals
    assert (totals.damage, totals.unknown_frees) == ("", unknown)
    assert (totals.earlier_blocks, totals.earlier_bytes) == (
        len(records),
        sum(size for *_, size in records),
    )
    ends = [Cut.EARLIER, Cut.THREAD_MARKER] if records else [Cut.THREAD_MARKER]
    cuts = zip(trace.windows.cut, trace.windows.heap, strict=True)
    assert [heap for cut, heap in cuts if cut in ends] == (heaps if records else heaps[1:])
    threads = {site: trace.threads[trace.sites.thread[site]][0] for site in totals.earlier_sites}
    found = Counter[int]()
    remains = 0
    for life in lifetimes(trace)[0]:
        if life.node in threads and life.born == 0:
            if threads[life.node]:
                found[threads[life.node]] += life.bytes
            elif life.died is None:
                remains += life.bytes
    assert found == freed
    assert remains == sum(left.values()) + PAGE * len(mapped)
    for site in threads:
        assert all(one.born == 0 for one in lifetimes(trace)[0] if one.node == site)


@examples(60)
@given(BEFORE, STEPS, st.data())
def test_a_saved_state_has_it(
    before: dict[int, int], steps: list[tuple[str, int, int, int]], data: st.DataObject
) -> None:
    records = [(BLOCK, address(place), size) for place, size in before.items()]
    writer = CaptureWriter()
    for number, (what, place, size, thread) in enumerate(steps):
        writer.switch(thread)
        if what == "malloc":
            writer.allocate(address(place), size)
        elif what == "marker":
            writer.marker(number)
        else:
            writer.free(address(place))
    writer.trailer()
    content = writer.content
    stop = data.draw(st.integers(0, len(content)))
    ends = []
    for is_saved in (False, True):
        replay = _replay.Replay()
        replay.put_in_earlier(encode(records))
        replay.feed(content[:stop])
        if is_saved:
            with TemporaryFile() as file:
                replay.save(file.fileno())
                file.seek(0)
                replay = _replay.load(file.fileno())
        replay.feed(content[stop:])
        replay.finish()
        rows = [list(one) for one in lifetimes(Trace(replay))]
        ends.append((replay.totals(), replay.columns(), rows))
    assert ends[0] == ends[1]


def test_a_peak_has_what_was_still_there_then() -> None:
    writer = CaptureWriter()
    writer.marker(1)
    writer.allocate(address(5), 1000)
    writer.free(address(0))
    writer.marker(2)
    trace = replayed(writer, [(BLOCK, address(0), 300), (BLOCK, address(1), 70)])
    sums = Counter[int]()
    for segment, site, size, _ in at_peaks(trace, [2]):
        sums[site in trace.totals.earlier_sites] += size
        assert segment == 2
    assert sums == {True: 370, False: 1000}


def test_a_look_at_the_start_finds_it() -> None:
    replay = _replay.Replay()
    replay.put_in_earlier(encode([(BLOCK, address(0), 300), (BLOCK, address(1), 70)]))
    words = [one.to_bytes(8, "little") for one in (address(0), address(0) + 200)]
    replay.look(0, False, words[0], words[1], b"\0")
    writer = CaptureWriter()
    writer.trailer()
    replay.feed(writer.content)
    replay.finish()
    (_, _, found) = next(one for one in replay.looks() if one[:2] == (0, False))
    assert int.from_bytes(found["alive"], "little") == 200
