"""Tells what source the processes of a run executed, where that is not of the program alone.

A process may be given code with -c, and may execute a file that was written after the run began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memdeep.model import Origin, StackTree
from memdeep.sources.lines import CODE_FILENAME, CONTEXT_LINES, Executed, is_unchanged


class Program(NamedTuple):
    """The program of a process: when it began, since the epoch, and the code given with -c."""

    begun_s: float
    code: str | None


def executed(tree: StackTree, programs: Mapping[int, Program]) -> Executed | None:
    """Return what the processes executed; ``programs`` are theirs, by index.

    None where there is the program alone.
    """
    if len(programs) < 2:
        return None
    by_process = _by_process(tree, programs[0])
    begun_s: dict[str, float] = {}
    codes: dict[int, set[str | None]] = {}
    for (filename, lineno), processes in by_process.items():
        ran = [programs.get(process, programs[0]) for process in processes]
        first_s = min(one.begun_s for one in ran)
        begun_s[filename] = min(first_s, begun_s.get(filename, first_s))
        if filename == CODE_FILENAME:
            codes.setdefault(lineno, set()).update(one.code for one in ran)
    return Executed(_lines(codes), begun_s)


def _by_process(tree: StackTree, program: Program) -> dict[tuple[str, int], set[int]]:
    """Return the processes of each line that is not known to be that of the program's start."""
    files: dict[str, bool] = {CODE_FILENAME: True}
    wanted: dict[int, tuple[str, int]] = {}
    for number, frame in enumerate(tree.frames):
        if frame.origin in (Origin.NATIVE, Origin.THREAD) or frame.lineno <= 0:
            continue
        if frame.filename not in files:
            files[frame.filename] = not is_unchanged(frame.filename, program.begun_s)
        if files[frame.filename]:
            wanted[number] = frame.filename, frame.lineno
    found: dict[tuple[str, int], set[int]] = {}
    if wanted:
        for frame_id, process in zip(tree.frame_ids, tree.processes, strict=True):
            if frame_id in wanted:
                found.setdefault(wanted[frame_id], set()).add(process)
    return found


def _lines(codes: Mapping[int, set[str | None]]) -> dict[int, str]:
    """Return the lines of code by number, and those around, where they are of one code alone."""
    found: dict[int, set[str]] = {}
    for lineno, texts in codes.items():
        text = next(iter(texts))
        if len(texts) > 1 or text is None:
            continue
        lines = text.splitlines()
        for near in range(max(1, lineno - CONTEXT_LINES), lineno + CONTEXT_LINES + 1):
            if near <= len(lines) and codes.get(near, texts) == texts:
                found.setdefault(near, set()).add(lines[near - 1])
    return {near: lines.pop() for near, lines in found.items() if len(lines) == 1}
