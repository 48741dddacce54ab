"""Tells whose code a run executed, and what people know the cells of a notebook by."""

from __future__ import annotations

import warnings
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import CodeType, MappingProxyType

from memdeep.errors import CaptureError
from memdeep.heap.origins import Origins
from memdeep.loading.own_runs import shared_symbols
from memdeep.loading.processes import read_births
from memdeep.model import Process
from memdeep.record.tree import program_place
from memdeep.rundir.births import FORK
from memdeep.rundir.cells import MAX_BYTES, Cell, decode_cells
from memdeep.rundir.directory import CHILDREN, RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta
from memdeep.sources.programs import Program


def origins_of(meta: Meta, cells: Mapping[str, Cell] = MappingProxyType({})) -> Origins:
    """Return whose code is whose in a run; ``cells`` are those of a notebook, by file."""
    titles = {filename: cell.title for filename, cell in cells.items()}
    paths = meta.stdlib_paths, meta.library_paths, meta.package, meta.own_paths
    return Origins(*paths, titles, _places(cells.values()))


def _places(cells: Iterable[Cell]) -> dict[tuple[str, int], str]:
    """Return the file of each function and line in ``cells``, where it is in one of them alone."""
    found: dict[tuple[str, int], str] = {}
    twice = set()
    for cell in cells:
        for place in set(_functions(cell)):
            if place in found:
                twice.add(place)
            found[place] = cell.filename
    return {place: filename for place, filename in found.items() if place not in twice}


def _functions(cell: Cell) -> Iterator[tuple[str, int]]:
    """Yield the names of functions in a cell, each with each of its lines."""
    try:
        with warnings.catch_warnings(record=True):
            left = [compile(cell.source, cell.filename, "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # as a magic of IPython's
        return
    while left:
        code = left.pop()
        left += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        names = {code.co_name, getattr(code, "co_qualname", code.co_name)}
        for _, _, lineno in code.co_lines():
            if lineno is not None and code.co_name != "<module>":
                yield from ((name, lineno) for name in names)


def programs_of(
    run_dir: RunDirectory, meta: Meta, processes: Sequence[Process], start: Event
) -> dict[int, Program]:
    """Return the programs of the processes of a run, by index; that of a fork is its parent's.

    ``start`` is that of the run.
    """
    begun_s = datetime.fromisoformat(meta.started).timestamp()
    found = {0: Program(begun_s, _given(meta.command))}
    if len(processes) < 2:
        return found
    births = {f"{CHILDREN}/{one.directory}": one for one in read_births(run_dir) if one.directory}
    for place, process in enumerate(processes[1:], 1):
        birth = births.get(process.directory or "")
        if birth is None or birth.how == FORK:
            found[place] = found[process.parent or 0]
            continue
        code = _given(birth.command[program_place(list(birth.command)) :])
        found[place] = Program(start.epoch_ns / 1e9 + (process.start_s or 0.0), code)
    return found


def _given(command: Sequence[str]) -> str | None:
    """Return the code that a command gives with -c, if it does."""
    return command[1] if tuple(command[:1]) == ("-c",) and len(command) > 1 else None


def read_cells(run_dir: RunDirectory) -> Mapping[str, Cell]:
    """Read the cells of a notebook by file; there are none in a run of a program.

    A process that a cell has started has those of its run.
    """
    try:
        return decode_cells(read_if_there(shared_symbols(run_dir).cells, MAX_BYTES) or b"")
    except CaptureError:
        return {}
