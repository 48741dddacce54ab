"""Finds the line of the main thread that called into a library whose own threads allocate.

Such a thread has no Python code on its stack. The main thread's stacks that lead through the same
library, in the same phase, tell who gave it work.
"""

from __future__ import annotations

from collections.abc import Iterable

from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.weights import MAIN_THREAD, in_other_thread
from memdeep.model import Culprit, Frame, Heap, Lifetime, Origin, Phase, StackTree
from memdeep.model.sums import Tally

_OWN = (Origin.USER, Origin.TOOL)


def caller(heap: Heap, lines: ChargedLines, phase: Phase, culprit: Culprit) -> Frame | None:
    """Return the line of the main thread with most bytes in ``phase`` through the same library.

    None if the culprit is a line of the user's own, is no other thread's, or nothing tells.
    """
    tree = heap.tree
    if culprit.frame.origin in _OWN or not in_other_thread(tree, culprit.node):
        return None
    nodes = _main_thread_nodes(tree, lines, culprit.frame)
    if not nodes:
        return None
    segments = {
        segment
        for stretch in phase.outline.stretches
        for segment in range(stretch.start + 1, stretch.end + 1)
    }
    sizes: Tally[int] = Tally()
    for life in _all(heap):
        if life.node in nodes and life.born in segments:
            sizes.add(lines.frame_ids[life.node], life.bytes, life.allocations)
    if not sizes:
        return None
    most = max(sizes, key=lambda frame_id: (sizes[frame_id], -frame_id))
    return tree.frames[most]


def _main_thread_nodes(tree: StackTree, lines: ChargedLines, library: Frame) -> set[int]:
    """Find the main thread's stacks with user code that lead through the file of ``library``."""
    is_of_main = bytearray(len(tree.parents))
    is_through = bytearray(len(tree.parents))
    found = set()
    for node, (parent, frame_id) in enumerate(zip(tree.parents, tree.frame_ids, strict=True)):
        frame = tree.frames[frame_id]
        if parent < 0:
            is_thread = frame.origin is Origin.THREAD
            is_of_main[node] = is_thread and frame.function == MAIN_THREAD
        else:
            is_of_main[node] = is_of_main[parent]
            is_through[node] = is_through[parent] or _is_of(frame, library)
        if is_of_main[node] and is_through[node] and lines.frame(node).origin in _OWN:
            found.add(node)
    return found


def _is_of(frame: Frame, library: Frame) -> bool:
    """Tell if two native frames are of one file: a source, or a library without symbols."""
    if library.filename:
        return frame.filename == library.filename
    return frame.origin is library.origin and frame.function == library.function


def _all(heap: Heap) -> Iterable[Lifetime]:
    yield from heap.lifetimes
    yield from heap.transients or ()
