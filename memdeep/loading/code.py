"""Tells whose code a run executed, and what people know the cells of a notebook by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from memdeep.errors import CaptureError
from memdeep.heap.origins import Origins
from memdeep.loading.own_runs import shared_symbols
from memdeep.rundir.cells import MAX_BYTES, Cell, decode_cells
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.meta import Meta


def origins_of(meta: Meta, cells: Mapping[str, Cell] = MappingProxyType({})) -> Origins:
    """Return whose code is whose in a run; ``cells`` are those of a notebook, by file."""
    titles = {filename: cell.title for filename, cell in cells.items()}
    return Origins(meta.stdlib_paths, meta.library_paths, meta.package, meta.own_paths, titles)


def read_cells(run_dir: RunDirectory) -> Mapping[str, Cell]:
    """Read the cells of a notebook by file; there are none in a run of a program.

    A process that a cell has started has those of its run.
    """
    try:
        return decode_cells(read_if_there(shared_symbols(run_dir).cells, MAX_BYTES) or b"")
    except CaptureError:
        return {}
