"""Finds the lines of the main thread that called into a library whose own threads allocate.

Such a thread has no Python code on its stack. The main thread's stacks that lead through the same
library, in the same phase, tell who gave it work.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.weights import in_other_thread
from memdeep.model import MAIN_THREAD, Culprit, Frame, Heap, Origin, Phase, StackTree
from memdeep.model.sums import Tally

MAX_CALLERS = 3

_OWN = (Origin.USER, Origin.TOOL)
_OF_EVERY_THREAD = ("threading.py", "thread.py", "libc.so.6", "libpthread.so.0")


def callers(heap: Heap, lines: ChargedLines, phase: Phase, culprit: Culprit) -> tuple[Frame, ...]:
    """Return the lines of the main thread with most bytes in ``phase`` through the same library.

    There are at most three; none if the culprit is a line of the user's own or no other thread's.
    """
    tree = heap.tree
    if culprit.frame.origin in _OWN or not in_other_thread(tree, culprit.node):
        return ()
    files = _libraries(tree.stack(culprit.node), culprit.frame)
    if not files:
        return ()
    sizes: dict[str, Tally[int]] = {}
    nodes = _main_thread_nodes(tree, lines, files)
    for life in heap.born_in(phase.outline.segments) if nodes else ():
        for file in nodes.get(life.node, ()):
            sums = sizes.setdefault(file, Tally())
            sums.add(lines.frame_ids[life.node], life.bytes, life.allocations)
    for file in files:
        if file in sizes:
            ranked = sorted(sizes[file], key=lambda place: (-sizes[file][place][0], place))
            return tuple(tree.frames[place] for place in ranked[:MAX_CALLERS])
    return ()


def _libraries(stack: Sequence[Frame], culprit: Frame) -> list[str]:
    """List the files of a stack that tell what the thread works for, innermost first.

    Those of the interpreter, of the C library and of `threading` are in the stacks of all.
    """
    found: dict[str, None] = {}
    for frame in reversed(stack):
        is_python = frame.origin in (Origin.LIBRARY, Origin.STDLIB)
        is_compiled = frame.filename == culprit.filename or ".so" in frame.filename
        if (is_python or is_compiled) and PurePath(frame.filename).name not in _OF_EVERY_THREAD:
            found[frame.filename] = None
    return list(found)


def _main_thread_nodes(
    tree: StackTree, lines: ChargedLines, files: Sequence[str]
) -> dict[int, list[str]]:
    """Find the main thread's stacks with user code, and which of ``files`` they lead through."""
    wanted = {
        place: 1 << files.index(frame.filename)
        for place, frame in enumerate(tree.frames)
        if frame.filename in files
    }
    through = [0] * len(tree.parents)
    is_of_main = bytearray(len(tree.parents))
    found = {}
    for node, (parent, frame_id) in enumerate(zip(tree.parents, tree.frame_ids, strict=True)):
        if parent < 0:
            frame = tree.frames[frame_id]
            is_thread = frame.origin is Origin.THREAD
            is_of_main[node] = is_thread and frame.function == MAIN_THREAD
        else:
            is_of_main[node] = is_of_main[parent]
            through[node] = through[parent] | wanted.get(frame_id, 0)
        if is_of_main[node] and through[node] and lines.frame(node).origin in _OWN:
            found[node] = [file for place, file in enumerate(files) if through[node] >> place & 1]
    return found
