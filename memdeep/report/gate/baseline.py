"""The file of a baseline: TOML with one line a phase, to be committed and read in a diff.

Owns that format, both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.model.budget import Baseline
from memdeep.model.comparison import Figure
from memdeep.text import toml
from memdeep.text.safe import plain

VERSION = 1
MAX_BYTES = 64 << 20
_NAMES = {
    Figure.PEAK_HEAP: "peak-heap",
    Figure.PEAK_RSS: "peak-rss",
    Figure.GROWTH: "growth",
    Figure.RISE: "rise",
    Figure.ALLOCATIONS: "allocations",
}
_FIGURES = {name: figure for figure, name in _NAMES.items()}
_MOST = 1 << 62


def encode(baseline: Baseline) -> bytes:
    """Return the file. The same baseline gives the same bytes."""
    return "".join(f"{line}\n" for line in _lines(baseline)).encode()


def _lines(baseline: Baseline) -> Iterator[str]:
    yield "# Memory of a run, sizes in bytes: memdeep check --baseline FILE --update"
    yield f"version = {VERSION}"
    for name, value in (("python", baseline.python), ("memray", baseline.memray)):
        if value is not None:
            yield f"{name} = {toml.quoted(value)}"
    yield f"mode = {toml.quoted(baseline.mode)}"
    yield from ("", "[run]")
    yield from (f"{_NAMES[figure]} = {value:_}" for figure, value in baseline.run.items())
    yield from ("", "[phases]")
    for name, figures in baseline.phases.items():
        listed = ", ".join(f"{_NAMES[figure]} = {value:_}" for figure, value in figures.items())
        yield f"{toml.quoted(name)} = {{ {listed} }}"


def decode(content: bytes, path: str) -> Baseline:
    """Read the file back. Raises MemdeepError if it is damaged or of another version."""
    try:
        table = toml.document(content.decode("utf-8"))
        version = table["version"]
        if version == VERSION:
            return Baseline(
                python=_text(table.get("python")),
                memray=_text(table.get("memray")),
                mode=_text(table["mode"]) or "",
                run=_figures(table["run"]),
                phases={name: _figures(one) for name, one in table["phases"].items()},
            )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MemdeepError(
            plain(f"{path} is no baseline of memdeep."),
            plain(f"Write it anew: remove it, then memdeep check --baseline {path} --update"),
            EXIT_USAGE,
        ) from error
    raise MemdeepError(
        plain(f"{path} is a baseline of version {version}, and this memdeep knows {VERSION}."),
        "Use the memdeep that wrote it, or write it anew.",
        EXIT_USAGE,
    )


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a text is wanted")
    return value


def _figures(table: Mapping[str, Any]) -> Mapping[Figure, int]:
    figures = {_FIGURES[name]: value for name, value in table.items()}
    for value in figures.values():
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST:
            raise TypeError("a whole number is wanted")
    return figures
