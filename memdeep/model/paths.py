"""Paths of source files that are the same on every machine, and the program that they begin at.

Knows no file format and touches no disk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from posixpath import dirname, isabs, relpath

from memdeep.model.heap import Frame, Origin
from memdeep.model.report import Report

_SITE = re.compile(r".*/(?:site|dist)-packages/(.+)")
_STANDARD = re.compile(r".*?/lib/python3\.\d+t?/(.+)")


def path_of(frame: Frame, roots: Sequence[str]) -> str | None:
    """Return the path of a frame that is the same wherever its code is installed, or None.

    Libraries lie in ``<site>``, the standard library in ``<std>``, all else relative to the first
    of ``roots`` that it lies in, or else to the first. So do sources of native code that lie in one
    of them; those of others have the paths of the machine that built them.
    """
    filename = frame.filename
    if (found := _SITE.fullmatch(filename)) is not None:
        return f"<site>/{found[1]}"
    if frame.origin is Origin.STDLIB and (found := _STANDARD.fullmatch(filename)) is not None:
        return f"<std>/{found[1]}"
    if frame.origin not in (Origin.USER, Origin.NATIVE) or not roots or not isabs(filename):
        return None
    around = (root for root in roots if filename.startswith(f"{root.rstrip('/')}/"))
    if frame.origin is Origin.NATIVE:
        nearest = next((root for root in around if root.strip("/")), None)
        return None if nearest is None else relpath(filename, nearest)
    return relpath(filename, next(around, roots[0]))


def main_program(report: Report) -> str | None:
    """Return the path of the program's main file: of the code that was called first of all.

    Without any stack it is the first word of the command, where that is a whole path.
    """
    tree = report.heap.tree
    outside = {-1}  # nodes above all code
    for node, (parent, number) in enumerate(zip(tree.parents, tree.frame_ids, strict=True)):
        if parent in outside:
            frame = tree.frames[number]
            if frame.origin in (Origin.THREAD, Origin.NATIVE):
                outside.add(node)
            elif frame.function == "<module>" and isabs(frame.filename):
                return frame.filename
    first = report.run.command[0] if report.run.command else ""
    return first if isabs(first) and first.endswith(".py") else None


def roots_of(report: Report) -> tuple[str, ...]:
    """Return the directories where the paths of the program's own code begin.

    That is the one of its main file and, if a symbolic link led there, the real one as well: its
    modules lie in that. Code that is in no file has the directory that it imports from.
    """
    main, identity = main_program(report), report.run.identity
    known = [
        None if main is None else dirname(main),
        None if identity is None else identity.root,
    ]
    return tuple(dict.fromkeys(root for root in known if root is not None))
