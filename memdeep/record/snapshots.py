"""Records with `tracemalloc` where memray cannot run: what each stack holds at a checkpoint."""

import threading
import tracemalloc
from collections import Counter
from operator import itemgetter

from memdeep.rundir import snapshots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Frames = tuple[tuple[str, int], ...]  # file name and line

MAX_FRAMES = 10
WORTH_A_SNAPSHOT_BYTES = 64 * 1024


class SnapshotTracer:
    """Traces Python's allocators, and writes what is alive when `mark` is called."""

    goes_on = False  # in forked children
    __slots__ = ("_last_bytes", "_lock", "_open", "_path", "_stacks")

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/snapshots.jsonl"
        self._open = open  # kept, since the program may put another function in its place
        self._lock = threading.RLock()
        self._stacks: dict[Frames, int] = {}
        self._last_bytes = 0

    def start(self) -> None:
        """Trace from now on. Raises OSError if the file cannot be written."""
        with self._open(self._path, "wb"):
            pass
        tracemalloc.start(MAX_FRAMES)

    def give_way(self, on_other: "Callable[[str], None]") -> None:
        """Nothing to do: `tracemalloc` may be started any number of times."""

    def obstacle_to_fork(self) -> None:
        """Nothing is in the way: forked children are not traced."""

    def go_on(self, directory: str) -> None:
        """Raises OSError: the snapshots of a forked child would hold what its parent allocated."""
        raise OSError(directory)

    def let_go(self) -> None:
        """End the trace in a forked child."""
        tracemalloc.stop()

    def forget(self) -> None:
        """Nothing is left of a trace."""

    def leave(self) -> None:
        """Nothing is left."""

    def stop(self) -> None:
        """End the trace."""
        tracemalloc.stop()

    def mark(self, sequence: int) -> None:
        """Write what is alive now, for the checkpoint ``sequence``. Raises OSError."""
        with self._lock:
            current, peak = tracemalloc.get_traced_memory()
            if abs(current - self._last_bytes) >= WORTH_A_SNAPSHOT_BYTES:
                self._last_bytes = current
                line = snapshots.encode(sequence, peak, *self._snapshot())
            else:
                line = snapshots.encode(sequence, peak)
            with self._open(self._path, "ab", buffering=0) as file:
                file.write(line)
            tracemalloc.reset_peak()

    def _snapshot(self) -> "tuple[dict[int, list[int]], list[tuple[int, Frames]]]":
        """Return the bytes and allocations by stack, and the frames of stacks not seen before."""
        # The public `take_snapshot` makes several objects of each allocation; this is what it
        # reads. Each object made here is traced as well, so the counting is left to C.
        alike = Counter(map(itemgetter(1, 2), tracemalloc._get_traces()))  # type: ignore[attr-defined]
        held: dict[int, list[int]] = {}
        new: list[tuple[int, Frames]] = []
        for (size, frames), count in alike.items():
            stack = self._stacks.get(frames)
            if stack is None:
                stack = self._stacks[frames] = len(self._stacks)
                new.append((stack, frames))
            entry = held.setdefault(stack, [0, 0])
            entry[0] += size * count
            entry[1] += count
        return held, new
