"""Joins the live allocations of a moment with the objects of that moment, in compiled code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memdeep.heap.parts import Part
from memdeep.heap.replay.blocks import BlockLook, Blocks
from memdeep.heap.replay.columns import long, packed, unsigned, unsigned_long
from memdeep.heap.replay.trace import Trace
from memdeep.model.graph import Graph
from memdeep.model.holders import HeapSnapshot, Held


def snapshots(
    trace: Trace, looks: Sequence[BlockLook], part: Part, nodes: Sequence[int]
) -> Iterator[HeapSnapshot]:
    """Join the objects of each checkpoint with what was alive there, one after the other."""
    for look in looks:
        blocks = trace.blocks_at(look, nodes)
        graph = None if blocks is None else part.walked[look.checkpoint].load()
        if blocks is not None and graph is not None:
            yield HeapSnapshot(
                checkpoint=look.checkpoint,
                types=graph.types,
                rows=graph.rows,
                held=held(blocks, graph),
                objects=len(graph.addresses),
                object_bytes=sum(graph.sizes),
                garbage_bytes=graph.garbage_bytes,
                c_only_bytes=graph.c_only_bytes,
                gc_enabled=graph.gc_enabled,
            )


def held(blocks: Blocks, graph: Graph) -> Held:
    """Give each byte of ``blocks`` to an object of ``graph``, as far as it is known to which."""
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
