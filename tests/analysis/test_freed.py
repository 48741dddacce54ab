"""What became of bytes: alive at the end, or freed in the innermost phase around that moment."""

from __future__ import annotations

from dataclasses import replace

from factories import MB, frame, heap, lifetime, phase, tree

from memdeep.analysis.charging import Charging
from memdeep.analysis.freed import alive_and_freed
from memdeep.model import Fate, Lifetime, Stretch

LOAD = phase("load", stretches=(Stretch(0, 2),))
RUN = phase("run", stretches=(Stretch(2, 6),))
INNER = phase("inner", stretches=(Stretch(3, 4),), depth=1, parent=1)
PHASES = [LOAD, RUN, INNER]
TRACED = replace(heap(tree([frame()])[0], checkpoints=12), traced=(Stretch(0, 8),))


def fate_of(*lives: Lifetime) -> Fate:
    stacks, _ = tree([frame()])
    charging = Charging(stacks, [item.outline for item in PHASES], 9)
    return alive_and_freed(lives, TRACED, PHASES, charging)


def test_what_was_never_freed_is_alive() -> None:
    assert fate_of(lifetime(bytes=MB), lifetime(bytes=2 * MB)) == Fate(3 * MB, ())


def test_what_was_freed_names_the_innermost_phase_most_first() -> None:
    lives = [
        lifetime(died=4, bytes=MB),
        lifetime(died=5, bytes=3 * MB),
        lifetime(died=6, bytes=3 * MB),
        lifetime(died=8, bytes=2 * MB),
    ]
    assert fate_of(*lives) == Fate(0, ((1, 6 * MB), (None, 2 * MB), (2, MB)))


def test_what_nothing_traced_is_not_said_to_be_freed() -> None:
    assert fate_of(lifetime(died=4, bytes=MB), lifetime(died=9, bytes=2 * MB)) == Fate(
        2 * MB, ((2, MB),)
    )


def test_nothing_has_no_fate_to_tell() -> None:
    assert fate_of() == Fate(0, ())
