"""`memdeep runs`: lists the runs in a directory, and removes those that nobody needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console

from memdeep.cli import arguments
from memdeep.errors import CaptureError, OutputError
from memdeep.live.progress import is_alive
from memdeep.rundir import directory, runs
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import Meta, decode_meta
from memdeep.text import units
from memdeep.text.language import Language, spoken
from memdeep.text.safe import plain

MAX_META_BYTES = 1 << 26
NARROW = 60  # columns below which the directory stands on a line of its own
FIGURES = 3  # the place of the only column that is set to the right


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep runs WORDS`; return its exit status."""
    options = arguments.parser("runs").parse(words)
    parent: Path = options.path or runs.DEFAULT
    if options.path is not None and not parent.exists():
        raise directory.no_run(parent)
    language = spoken()
    unwanted = [runs.removable(_named(path, parent)) for path in options.rm]
    for run_dir in unwanted:
        if is_recording(run_dir):
            raise OutputError(
                f"{run_dir.path} is still being recorded.",
                "Wait for its end, or end its program; then remove it.",
            )
    if options.keep is not None:
        old = runs.found(parent)[options.keep :]
        unwanted += [run_dir for run_dir in old if not is_recording(run_dir)]
    for run_dir in unwanted:
        if not run_dir.path.exists():
            continue  # named twice
        size = runs.size_bytes(run_dir)
        is_gone = runs.remove(run_dir)
        key = "runs.removed" if is_gone else "runs.emptied"
        print(plain(language.say(key, path=str(run_dir.path), size_bytes=size)))
    if not options.rm and options.keep is None:
        _list(parent, language)
    return 0


def is_recording(run_dir: RunDirectory) -> bool:
    """Tell if the run, or a process that it started, is still being recorded or reported on."""
    if runs.is_held(run_dir):
        return True
    for own in (run_dir, *run_dir.children()):
        try:
            start = runs.first_event(own)
        except OSError:
            continue
        if start is not None and is_alive(start):
            return True
    return False


def _named(path: Path, parent: Path) -> Path:
    """Return the run that is meant by ``path``, which may be its name in ``parent`` alone."""
    inside = parent / path
    return inside if not path.exists() and inside.exists() else path


def _list(parent: Path, language: Language) -> None:
    found = runs.found(parent)
    if not found:
        print(plain(language.say("runs.none", path=str(parent))))
        return
    lines = [_cells(run_dir, language) for run_dir in found]
    wide = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    is_narrow = sys.stdout.isatty() and Console().width < NARROW
    for *facts, where in lines:
        cells = [
            cell.rjust(wide[place]) if place == FIGURES else _filled(cell, wide[place])
            for place, cell in enumerate(facts)
        ]
        print("  ".join(cells) + ("\n  " if is_narrow else "  ") + where)


def _filled(cell: str, cells: int) -> str:
    return cell + " " * (cells - cell_len(cell))


def _cells(run_dir: RunDirectory, language: Language) -> tuple[str, ...]:
    """Return date, program, how it ended, size, and the run directory."""
    at_s = (runs.started_ns(run_dir) or 0) / 1e9
    meta = _meta(run_dir)
    return (
        f"{datetime.fromtimestamp(at_s):%Y-%m-%d %H:%M}",
        plain(meta.name) if meta is not None else units.UNKNOWN,
        _ending(run_dir, meta, language),
        units.size(runs.size_bytes(run_dir)),
        plain(str(run_dir.path)),
    )


def _meta(run_dir: RunDirectory) -> Meta | None:
    try:
        if run_dir.meta.stat().st_size > MAX_META_BYTES:
            return None
        return decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    except (OSError, CaptureError):
        return None


def _ending(run_dir: RunDirectory, meta: Meta | None, language: Language) -> str:
    if meta is not None and meta.verdict is not None:
        status = meta.exit_code if meta.exit_code is not None else units.UNKNOWN
        return language.say(f"verdict.{meta.verdict}", status=status)
    return language.say("runs.recording" if is_recording(run_dir) else "verdict.unknown")
