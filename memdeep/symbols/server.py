"""Names the native frames of a run: each address of each file once, whatever was loaded when.

The names stored with the run come first; what they lack is looked up on this machine. Where a
name is not known for certain, the frame says so, and in which file it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

from memdeep.symbols.images import Image
from memdeep.symbols.store import Frames, StoredImage, StoredSymbols

if TYPE_CHECKING:  # it reads files: that takes a while to import, and may not be needed
    from memdeep.symbols.files import Symbols


class SymbolServer:
    """Answers which functions lie at an address of a file.

    ``find`` gives the symbols of a file; it is asked once for each, and only if ``stored`` does
    not know.
    """

    def __init__(self, find: Callable[[Image], Symbols], stored: StoredSymbols) -> None:
        self._find = find
        self._stored = stored.images
        self._symbols: dict[Image, Symbols] = {}
        self._frames: dict[Image, dict[int, Frames]] = {}

    def frames(self, image: Image, address: int) -> Frames:
        """The frames at ``address``, innermost inlined first; never none."""
        known = self._frames.get(image)
        if known is None:
            stored = self._stored.get(image)
            known = self._frames[image] = {} if stored is None else dict(stored.frames)
        frames = known.get(address)
        if frames is None:
            frames = known[address] = self._look_up(image, address)
        return frames

    def answered(self) -> StoredSymbols:
        """Everything that was asked so far, to be stored."""
        return StoredSymbols(
            {
                image: StoredImage(self._build_id(image), dict(frames))
                for image, frames in self._frames.items()
            }
        )

    def _look_up(self, image: Image, address: int) -> Frames:
        symbols = self._symbols.get(image)
        if symbols is None:
            symbols = self._symbols[image] = self._find(image)
        filename = _shown(image.filename)
        if symbols.table is not None and (frames := symbols.table.frames(address, filename)):
            return frames
        return ((f"<unknown in {PurePath(filename).name}>", filename, 0),)

    def _build_id(self, image: Image) -> str | None:
        if image in self._symbols:
            return self._symbols[image].build_id
        stored = self._stored.get(image)
        return None if stored is None else stored.build_id


def _shown(filename: str) -> str:
    """``filename`` as text: it may hold bytes that are none."""
    return filename.encode("utf-8", "replace").decode("utf-8")
