"""One line of `snapshots.jsonl`: what the tracemalloc backend saw at a checkpoint.

A line has the keys ``n`` (the checkpoint's sequence number), ``peak`` (bytes, the highest since the
checkpoint before), and ``stacks``, a list of [stack, bytes, allocations], left out where the total
has hardly changed. ``new`` gives stacks their frames when they first appear: [stack, [[file name,
line], ...]], innermost first.

Imports nothing of memdeep: the writing half runs inside the user's process.
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Held = Mapping[int, Sequence[int]]  # stack -> bytes, allocations
    Place = tuple[str, int]  # file name and line

MAX_COUNT = 2**63


class Snapshot:
    """One line, read back. ``held`` is None where the total has hardly changed."""

    __slots__ = ("held", "new", "peak_bytes", "sequence")

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError, ValueError or KeyError if ``fields`` are not those of a line."""
        self.sequence = _count(fields["n"])
        self.peak_bytes = _count(fields["peak"])
        self.new: dict[int, list[Place]] = {
            int(stack): [(str(name), _count(line)) for name, line in frames]
            for stack, frames in fields.get("new", ())  # type: ignore[attr-defined]
        }
        self.held: dict[int, tuple[int, int]] | None = None
        if "stacks" in fields:
            self.held = {
                int(stack): (_count(size), _count(number))
                for stack, size, number in fields["stacks"]  # type: ignore[attr-defined]
            }


def encode(
    sequence: int,
    peak_bytes: int,
    held: "Held | None" = None,
    new: "Iterable[tuple[int, Iterable[Place]]]" = (),
) -> bytes:
    """Return the line for the checkpoint ``sequence``; ``new`` counts only beside ``held``."""
    line: dict[str, object] = {"n": sequence, "peak": peak_bytes}
    if held is not None:
        line["stacks"] = [[stack, *figures] for stack, figures in held.items()]
        line["new"] = [[stack, [[name, row] for name, row in frames]] for stack, frames in new]
    return json.dumps(line).encode("ascii") + b"\n"


def decode(line: bytes) -> Snapshot:
    """Read one line back. Raises ValueError if it is damaged."""
    try:
        return Snapshot(json.loads(line))
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("a line is damaged") from error


def _count(value: object) -> int:
    """Return ``value`` if it is a number of things. Raises ValueError."""
    if not isinstance(value, int) or not 0 <= value < MAX_COUNT:
        raise ValueError(f"not a count: {value!r}")
    return value
