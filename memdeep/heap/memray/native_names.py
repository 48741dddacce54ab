"""Names the native frames of a replayed capture with memray's reader, where nothing else can."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from memdeep.frozen import field, frozen
from memdeep.heap.memray.damage import read_confined
from memdeep.heap.memray.reader import StackKey, key_of, open_capture
from memdeep.heap.replay.trace import Trace
from memdeep.model import RawFrame


@frozen
class MemrayNativeFrames:
    """Names the native frames of a capture that was replayed with ``changes``.

    memray numbers stacks as the replay does: both count the nodes of the same trees as they come.
    """

    capture: Path
    changes: Mapping[int, bytes] = field(default_factory=dict)

    def hybrid_stacks(self, trace: Trace, sites: Sequence[int]) -> Mapping[int, Sequence[RawFrame]]:
        """Name the frames of ``sites``. Raises CaptureError if memray cannot read the capture."""
        columns = trace.sites
        by_key: defaultdict[StackKey, list[int]] = defaultdict(list)
        for site in sites:
            if columns.native[site]:
                key = columns.node[site], columns.native[site], columns.memory_map[site]
                by_key[key].append(site)
        if not by_key:
            return {}
        return read_confined(
            self.capture, self.changes, lambda path, _: _stacks(path, by_key), lambda _: None
        )


def _stacks(capture: Path, by_key: dict[StackKey, list[int]]) -> dict[int, Sequence[RawFrame]]:
    stacks: dict[int, Sequence[RawFrame]] = {}
    with open_capture(capture) as reader:
        for records in (
            reader.get_temporal_allocation_records(merge_threads=True),
            reader.get_temporal_high_water_mark_allocation_records(merge_threads=True)[0],
        ):
            for record in records:
                of_one_stack = by_key.pop(key_of(record), None)
                if of_one_stack is not None:
                    stacks.update(dict.fromkeys(of_one_stack, record.hybrid_stack_trace()))
    return stacks
