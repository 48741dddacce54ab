"""Names the native frames of a run: each address of each file once.

The names stored with the run come first; the missing ones are looked up on this machine. A frame
without a certain name is called unknown, with the file that it lies in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from memdeep.symbols.images import Image
from memdeep.symbols.store import Frames, StoredImage, StoredSymbols

if TYPE_CHECKING:  # it reads files: that takes a while to import, and may not be needed
    from memdeep.symbols.files import Symbols
    from memdeep.symbols.tables import SymbolTable


LARGE_BYTES = 1 << 20  # of a table that is opened again rather than kept


class SymbolServer:
    """Returns the functions at an address of a file.

    ``find`` returns the symbols of a file; it is called once for each, and only if ``stored`` has
    no answer.
    """

    def __init__(self, find: Callable[[Image], Symbols], stored: StoredSymbols) -> None:
        self._find = find
        self._stored = stored.images
        self._symbols: dict[Image, Symbols] = {}
        self._build_ids: dict[Image, str | None] = {}
        self._frames: dict[Image, dict[int, Frames]] = {}

    def frames(self, image: Image, address: int) -> Frames:
        """Return the frames at ``address``, innermost inlined first; at least one."""
        known = self._known(image)
        frames = known.get(address)
        if frames is None:
            frames = known[address] = _named(image, self._opened(image).table, address)
        return frames

    def name(self, image: Image, addresses: Iterable[int]) -> None:
        """Name all these addresses of a file; they are answered by `frames` from then on."""
        known = self._known(image)
        missing = [address for address in addresses if address not in known]
        if missing:
            table = self._opened(image).table
            for address in missing:
                known[address] = _named(image, table, address)
            if table is not None and table.size_bytes > LARGE_BYTES:
                del self._symbols[image]

    def answered(self) -> StoredSymbols:
        """Return all frames that were asked for so far, to be stored."""
        return StoredSymbols(
            {
                image: StoredImage(self._build_id(image), dict(frames))
                for image, frames in self._frames.items()
            }
        )

    def _known(self, image: Image) -> dict[int, Frames]:
        known = self._frames.get(image)
        if known is None:
            stored = self._stored.get(image)
            known = self._frames[image] = {} if stored is None else dict(stored.frames)
        return known

    def _opened(self, image: Image) -> Symbols:
        symbols = self._symbols.get(image)
        if symbols is None:
            symbols = self._symbols[image] = self._find(image)
            self._build_ids[image] = symbols.build_id
        return symbols

    def _build_id(self, image: Image) -> str | None:
        if image in self._build_ids:
            return self._build_ids[image]
        stored = self._stored.get(image)
        return None if stored is None else stored.build_id


def _named(image: Image, table: SymbolTable | None, address: int) -> Frames:
    filename = _shown(image.filename)
    if table is not None and (frames := table.frames(address, filename)):
        return frames
    return ((f"<unknown in {PurePath(filename).name}>", filename, 0),)


def _shown(filename: str) -> str:
    """Return ``filename`` with the bytes that are no text replaced."""
    return filename.encode("utf-8", "replace").decode("utf-8")
