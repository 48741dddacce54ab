"""The file of a run that holds the names of its native frames, so that any machine can show them.

The only owner of its format: JSON packed with zlib. Strings and stacks are written once and then
referred to by index; addresses are written as differences.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen
from memdeep.model import RawFrame
from memdeep.rundir.files import read_if_there
from memdeep.symbols.images import Image

SCHEMA = 1
MAX_BYTES = 1 << 29  # unpacked; a larger one counts as damaged

Frames = tuple[RawFrame, ...]


class DamagedSymbols(Exception):
    """The file is damaged, or of another schema."""


@frozen
class StoredImage:
    """Build id of a loaded file, None if it had none, and the frames at its addresses."""

    build_id: str | None
    frames: Mapping[int, Frames]


@frozen
class StoredSymbols:
    """Build ids and frames of the files that were loaded."""

    images: Mapping[Image, StoredImage] = field(default_factory=dict)

    def build_ids(self) -> dict[str, str]:
        """Return the build ids by file name, without the names that have several."""
        found: dict[str, set[str]] = {}
        for image, stored in self.images.items():
            if stored.build_id is not None:
                found.setdefault(image.filename, set()).add(stored.build_id)
        return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}


def read(path: Path) -> tuple[StoredSymbols, str | None]:
    """Read the file at ``path``; return its symbols, and a note if they had to be left out."""
    try:
        content = read_if_there(path, MAX_BYTES)
        return (StoredSymbols() if content is None else decode(content)), None
    except CaptureError as error:
        return (
            StoredSymbols(),
            f"{error.message} The names of native frames come from this machine.",
        )
    except DamagedSymbols:
        return StoredSymbols(), (
            "The stored names of native frames are damaged and were left out; the names shown "
            "come from this machine."
        )


def encode(symbols: StoredSymbols) -> bytes:
    """Return the content of the file."""
    strings = _Numbers()
    stacks = _Numbers()
    images = []
    for image, stored in symbols.images.items():
        addresses = sorted(stored.frames)
        images.append(
            {
                "file": strings.of(image.filename),
                "segments": image.segments,
                "build_id": stored.build_id,
                "steps": _steps(addresses),
                "stacks": [
                    stacks.of(tuple(_flat(stored.frames[address], strings)))
                    for address in addresses
                ],
            }
        )
    content = {
        "schema": SCHEMA,
        "images": images,
        "stacks": list(stacks.numbers),
        "strings": list(strings.numbers),
    }
    # ASCII: file names may hold bytes that are no text, and JSON escapes those.
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode("ascii"))


def decode(content: bytes) -> StoredSymbols:
    """Decode the content of the file. Raises DamagedSymbols."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(content, MAX_BYTES)
        if not unpacker.eof:
            raise DamagedSymbols("cut off, or too large")
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise DamagedSymbols("of another schema")
        strings = [_text(string) for string in document["strings"]]
        stacks = [tuple(_frames(numbers, strings)) for numbers in document["stacks"]]
        images = dict(_image(row, strings, stacks) for row in document["images"])
    except (zlib.error, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedSymbols(str(error)) from error
    return StoredSymbols(images)


class _Numbers:
    """Numbers distinct values, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[object, int] = {}

    def of(self, value: object) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def _flat(frames: Frames, strings: _Numbers) -> Iterator[int]:
    for function, filename, lineno in frames:
        yield from (strings.of(function), strings.of(filename), lineno)


def _frames(numbers: Sequence[int], strings: Sequence[str]) -> Iterator[RawFrame]:
    for place in range(0, len(numbers), 3):
        function, filename, lineno = numbers[place : place + 3]
        yield strings[_natural(function)], strings[_natural(filename)], _natural(lineno)


def _image(
    row: Mapping[str, Any], strings: Sequence[str], stacks: Sequence[Frames]
) -> tuple[Image, StoredImage]:
    segments = tuple((_natural(start), _natural(size)) for start, size in row["segments"])
    addresses = accumulate(_natural(step) for step in row["steps"])
    build_id = row["build_id"]
    stored = StoredImage(
        None if build_id is None else _text(build_id),
        {
            address: stacks[_natural(number)]
            for address, number in zip(addresses, row["stacks"], strict=True)
        },
    )
    return Image(strings[_natural(row["file"])], segments), stored


def _steps(addresses: Sequence[int]) -> list[int]:
    return [after - before for before, after in zip([0, *addresses], addresses, strict=False)]


def _natural(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a natural number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value
