"""Joins the live allocations of a moment with the objects of that moment, in compiled code."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.errors import CaptureError
from memdeep.heap.parts import Part
from memdeep.heap.replay.blocks import BlockLook, Blocks
from memdeep.heap.replay.columns import long, packed, unsigned, unsigned_long
from memdeep.heap.replay.trace import Trace
from memdeep.model.graph import Graph
from memdeep.model.holders import HeapSnapshot, Held


def snapshots(
    trace: Trace, looks: Sequence[BlockLook], part: Part, nodes: Sequence[int]
) -> tuple[tuple[HeapSnapshot, ...], tuple[str, ...]]:
    """Join the objects of each checkpoint with what was alive there, one after the other.

    Second, a sentence on each that is not known. What lies behind damage is left out.
    """
    found, unread = [], []
    for look in looks:
        try:
            blocks = trace.blocks_at(look, nodes)
            if blocks is None:
                continue
            graph = part.walked[look.checkpoint].load()
            given = held(blocks, graph)
        except CaptureError as error:
            unread.append(f"{error.message} Who held memory there is not known.")
            continue
        except ValueError as error:
            unread.append(f"The objects of a checkpoint are damaged: {error}.")
            continue
        found.append(
            HeapSnapshot(
                checkpoint=look.checkpoint,
                types=graph.types,
                rows=graph.rows,
                held=given,
                objects=len(graph.addresses),
                object_bytes=sum(graph.sizes),
                garbage_bytes=graph.garbage_bytes,
                c_only_bytes=graph.c_only_bytes,
                gc_enabled=graph.gc_enabled,
                gc_off_at=graph.gc_off_at,
            )
        )
    return tuple(found), tuple(unread)


def held(blocks: Blocks, graph: Graph) -> Held:
    """Give each byte of ``blocks`` to an object of ``graph``, as far as it is known to which.

    Raises ValueError where the objects do not lie one behind the other.
    """
    from memdeep.heap.replay._replay import join

    rows = join(
        packed(blocks.address, "Q"),
        packed(blocks.size, "Q"),
        packed(blocks.node, "i"),
        blocks.is_mapping,
        packed(graph.addresses, "Q"),
        packed(graph.sizes, "Q"),
        packed(graph.kinds, "I"),
        packed(graph.holders, "I"),
        bytes(graph.states),
        packed(graph.pointers, "Q"),
        packed(graph.owners, "I"),
    )
    return Held(
        node=memoryview(rows["node"]).cast("i"),
        kind=unsigned(rows["kind"]),
        holder=unsigned(rows["holder"]),
        state=rows["state"],
        how=rows["how"],
        bytes=unsigned_long(rows["bytes"]),
        objects=long(rows["objects"]),
    )
