"""Tells whose code a file is: the user's, the tool's that was run, a library's, memdeep's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from memdeep.model import Frame, Origin, RawFrame
from memdeep.record.marks import frame

UNPICKLED = "<dynamic-code>"  # what cloudpickle makes of the file of a function
_PACKAGE = Path(__file__).parents[1]
_ALIAS = "memory_monitor.py"  # the module beside the package
_LIBRARY_PARTS = ("/site-packages/", "/dist-packages/")
_STDLIB_MARK = "/lib/python3."
# Code that is in no file, but that somebody typed: all other such code was generated.
_TYPED = ("<stdin>", "<console>", "<ipython-input-", "<python-input-", "<doctest ")


class Origins:
    """Classifies file names by the install paths of the Python that ran the program.

    Without paths (a capture from elsewhere) the usual shapes of such paths decide. ``package`` is
    the directory of the memdeep that recorded, which need not be this one. ``own_paths`` are the
    files and directories of the program itself, which may lie among the libraries, and
    ``<string>`` where it was given as code. ``titles`` are what people know files by that are none,
    as the cells of a notebook. ``unpickled`` are the files of functions that were sent to another
    process by value, which has lost them, by function and line.
    """

    def __init__(
        self,
        stdlib_paths: Sequence[str] = (),
        library_paths: Sequence[str] = (),
        package: str | None = None,
        own_paths: Sequence[str] = (),
        titles: Mapping[str, str] | None = None,
        unpickled: Mapping[tuple[str, int], str] | None = None,
    ) -> None:
        self._unpickled = unpickled or {}
        self._titles = titles or {}
        self._stdlib = tuple(path.rstrip("/") + "/" for path in stdlib_paths)
        self._libraries = tuple(path.rstrip("/") + "/" for path in library_paths)
        self._library_files = frozenset(library_paths)
        self._programs = tuple(path.rstrip("/") + "/" for path in own_paths)
        self._program_files = frozenset(own_paths)
        packages = {_PACKAGE} if package is None else {_PACKAGE, Path(package)}
        self._own_directories = tuple(f"{path}/" for path in packages)
        self._own_files = (frame.FILENAME, *(str(path.parent / _ALIAS) for path in packages))
        self._known: dict[str, Origin] = {}

    def frame(self, raw: RawFrame) -> Frame:
        """Return a Python frame with its origin, and with the name of its file that people know."""
        function, filename, lineno = raw
        if filename == UNPICKLED:
            filename = self._unpickled.get((function, lineno), filename)
        return Frame(function, self._titles.get(filename, filename), lineno, self.of(filename))

    def of(self, filename: str) -> Origin:
        """Return the origin of the code in a file."""
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._classify(filename)
        return known

    def _classify(self, filename: str) -> Origin:
        if filename.startswith(self._own_directories) or filename in self._own_files:
            return Origin.MEMDEEP
        if self._is_in_library(filename):
            return Origin.TOOL if self._is_program(filename) else Origin.LIBRARY
        if filename.startswith((*self._stdlib, "<frozen ")):
            return Origin.STDLIB
        if not self._stdlib and _STDLIB_MARK in filename:
            return Origin.STDLIB
        if filename.startswith("<") and not self._is_typed(filename):
            return Origin.LIBRARY
        return Origin.USER

    def _is_in_library(self, filename: str) -> bool:
        if filename in self._library_files or filename.startswith(self._libraries):
            return True
        return any(part in filename for part in _LIBRARY_PARTS)

    def _is_program(self, filename: str) -> bool:
        return filename in self._program_files or filename.startswith(self._programs)

    def _is_typed(self, filename: str) -> bool:
        is_a_name = ">" not in filename or filename.endswith(".py")
        return is_a_name or filename in self._program_files or filename.startswith(_TYPED)
