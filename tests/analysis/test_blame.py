"""The line to blame for a rise, and for many allocations."""

from __future__ import annotations

from dataclasses import replace

from factories import MB, analysed, frame, lifetime, run, tree

from memdeep.analysis.blame import counted_at, line_of_allocations, line_of_rise
from memdeep.heap.lists import LifetimeList
from memdeep.model import Stretch


def test_the_line_that_made_most_allocations_need_not_hold_anything() -> None:
    large, many, elsewhere = frame("large"), frame("many"), frame("elsewhere")
    stacks, (a, b, c) = tree([large], [many], [elsewhere])
    lives = [lifetime(a, 2, bytes=50 * MB), lifetime(c, 4, bytes=MB, allocations=9000)]
    found = analysed(run("+load", "-load", "+later", "-later"), stacks, lives)
    gone = LifetimeList((lifetime(b, 2, 2, bytes=MB, allocations=4000),))
    counted = replace(found, heap=replace(found.heap, transients=gone))
    names = {phase.name: place for place, phase in enumerate(counted.phases)}
    for place, line in ((names["load"], many), (names["later"], elsewhere), (None, elsewhere)):
        blamed = line_of_allocations(counted, place)
        assert blamed is not None
        assert blamed.frame == line
        assert line_of_allocations(found, place) is None


def test_what_others_held_before_made_no_heap_rise() -> None:
    large, small = frame("large"), frame("small")
    stacks, (a, b) = tree([large], [small])
    lives = [lifetime(a, 2, bytes=50 * MB), lifetime(b, 4, bytes=20 * MB)]
    found = analysed(run("+load", "-load", "+later", "-later"), stacks, lives)
    names = {phase.name: place for place, phase in enumerate(found.phases)}
    for name, line in (("load", large), ("later", small)):
        blamed = line_of_rise(found, names[name])
        assert blamed is not None
        assert blamed.frame == line
    heap = found.heap
    apart = replace(heap, traced=(Stretch(0, 2), Stretch(2, 5)))
    assert [stack.node for stack in counted_at(heap, 4)] == [a, b]
    assert [stack.node for stack in counted_at(apart, 4)] == [b]
