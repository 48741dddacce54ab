"""Names frames for people: a file and a line, or a function."""

from __future__ import annotations

import re
from functools import cache
from pathlib import PurePath

from memdeep.model import Frame

_LIBRARIES = re.compile(r"(site|dist)-packages|python3(\.\d+t?)?")  # directories of packages
_BUILD_TAGS = re.compile(r"(\.(cpython|pypy)[^.]*|\.abi3)(?=\.so)|(-[0-9a-f]{8})+(?=\.)")
MAX_LIBRARY_NAME = 36  # characters of a compiled library's name in a stack


def location(frame: Frame) -> str:
    """Return ``learning.py:88``, ``json/__init__.py:293``, or the function if there is no file."""
    if not frame.filename:
        return frame.function
    name = file_name(frame.filename)
    return f"{name}:{frame.lineno}" if frame.lineno else name


@cache
def file_name(path: str) -> str:
    """Return the name of a file, with its directory where the name alone would not tell which.

    So it is for ``__init__.py`` and for the modules of a library's packages, such as
    ``multiprocessing/reduction.py``. Compiled libraries lose the tags that their builds gave them.
    ``templates/js/payload.js`` says the same.
    """
    parts = PurePath(path).parts or (path,)
    if "/" not in path or len(parts) < 2:
        return _without_tags(parts[-1])
    parent = parts[-2]
    is_of_package = not _LIBRARIES.fullmatch(parent) and any(map(_LIBRARIES.fullmatch, parts[:-2]))
    is_generic = PurePath(path).stem in ("__init__", "__main__")
    if is_generic or (is_of_package and path.endswith(".py")):
        return f"{parent}/{parts[-1]}"
    return _without_tags(parts[-1])


def function_name(frame: Frame) -> str:
    """Return the function of ``frame``; one that is not known is in a library without tags."""
    return _without_tags(frame.function)


def shortened(name: str) -> str:
    """Cut the long name of a compiled library in its middle, for a narrow stack."""
    half = (MAX_LIBRARY_NAME - 1) // 2
    is_long = len(name) > MAX_LIBRARY_NAME and ".so" in name
    return f"{name[:half]}…{name[-half:]}" if is_long else name


def _without_tags(name: str) -> str:
    return _BUILD_TAGS.sub("", name) if ".so" in name else name
