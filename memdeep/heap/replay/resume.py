"""Goes on with a part of which the beginning was replayed before, with the cuts known then."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from typing import TYPE_CHECKING

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.heap.parts import MARK, Part, TimeCut

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay


@frozen
class Stop:
    """Where to stop with a capture: at this byte, all cuts up to ``time_ms`` being known by then.

    What is alive at the moments (their numbers) in ``keeping`` may be asked for later; of those in
    ``over`` nothing more will be.
    """

    offset: int
    time_ms: int
    keeping: Collection[int] = ()
    over: Collection[int] = ()


def resumed(part: Part, engine: Replay, until_ms: int | None = None) -> Part:
    """Return ``part`` with the cuts that ``engine`` has made before, then with those that follow.

    One of which nothing is known any more stays as a mark. What should have been cut before and was
    not, as it was not known then, cannot be told: a moment is left out. Nothing later than
    ``until_ms`` is cut. Raises CaptureError if a checkpoint would be lost.
    """
    wanted = deque(cut for cut in part.cuts if until_ms is None or cut.time_ms <= until_ms)
    known = Counter((cut.time_ms, cut.after) for cut in wanted)
    cuts: list[TimeCut] = []
    for made in engine.cuts_made():
        if not known[made]:
            cuts.append(TimeCut(*made, MARK))
            continue
        while (wanted[0].time_ms, wanted[0].after) != made:
            cut = wanted.popleft()
            known[cut.time_ms, cut.after] -= 1
            _leave_out(part, cut)
        known[made] -= 1
        cuts.append(wanted.popleft())
    first = cuts[-1].after if cuts else 0
    for cut in wanted:
        if cut.after < first or engine.is_past(cut.time_ms, cut.after):
            _leave_out(part, cut)
        else:
            cuts.append(cut)
    return replace(part, cuts=tuple(cuts), markers=part.markers - len(part.cuts) + len(cuts))


def _leave_out(part: Part, cut: TimeCut) -> None:
    if cut.moment is None:
        raise CaptureError(
            f"{part.capture} was given back before a checkpoint of the program was told of.",
            "What it held there cannot be known. Record with --keep-capture to keep all of it.",
        )
