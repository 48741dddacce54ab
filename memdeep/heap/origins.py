"""Tells whose code a file is: the user's, a library's, the standard library's or memdeep's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from memdeep.model import Origin
from memdeep.record.marks import frame

_PACKAGE = Path(__file__).parents[1]
_ALIAS = "memory_monitor.py"  # the module beside the package
_LIBRARY_PARTS = ("/site-packages/", "/dist-packages/")
_STDLIB_MARK = "/lib/python3."


class Origins:
    """Classifies file names by the install paths of the Python that ran the program.

    Without paths (a capture from elsewhere) the usual shapes of such paths decide. ``package`` is
    the directory of the memdeep that recorded, which need not be this one.
    """

    def __init__(
        self,
        stdlib_paths: Sequence[str] = (),
        library_paths: Sequence[str] = (),
        package: str | None = None,
    ) -> None:
        self._stdlib = tuple(path.rstrip("/") + "/" for path in stdlib_paths)
        self._libraries = tuple(path.rstrip("/") + "/" for path in library_paths)
        packages = {_PACKAGE} if package is None else {_PACKAGE, Path(package)}
        self._own_directories = tuple(f"{path}/" for path in packages)
        self._own_files = (frame.FILENAME, *(str(path.parent / _ALIAS) for path in packages))
        self.of = lru_cache(maxsize=None)(self._classify)

    def _classify(self, filename: str) -> Origin:
        if filename.startswith(self._own_directories) or filename in self._own_files:
            return Origin.MEMDEEP
        if filename.startswith(self._libraries) or any(p in filename for p in _LIBRARY_PARTS):
            return Origin.LIBRARY
        if filename.startswith((*self._stdlib, "<frozen ")):
            return Origin.STDLIB
        if not self._stdlib and _STDLIB_MARK in filename:
            return Origin.STDLIB
        return Origin.USER
