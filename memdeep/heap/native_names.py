"""Names the native frames of a run: by its stored names, this machine's files, the cache.

Returns the stacks of call sites with native frames, and stores the names with the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.errors import CaptureError
from memdeep.heap.replay.engine import replay
from memdeep.heap.replay.trace import Trace
from memdeep.model import RawFrame
from memdeep.rundir import files
from memdeep.rundir.directory import RunDirectory
from memdeep.symbols import store
from memdeep.symbols.images import AddressSpace, Image
from memdeep.symbols.merge import merge
from memdeep.symbols.server import SymbolServer
from memdeep.symbols.store import Frames, StoredSymbols

if TYPE_CHECKING:
    from memdeep.symbols.files import SymbolFiles

NOWHERE: RawFrame = ("<unknown>", "", 0)  # in no file: generated code, or the kernel's own


def is_installed() -> bool:
    """Tell whether the libraries that read symbols are there; not every platform has them."""
    return all(map(find_spec, ("symbolic", "cffi", "multi_demangle")))


def store_names(
    run_dir: RunDirectory, on_step: Callable[[str], None], directories: Sequence[str] = ()
) -> None:
    """Store the names of all native frames with a run that has just ended. Raises OutputError.

    Those of the processes that the program started are stored with it: they share its libraries.
    Files that were loaded by a relative path are looked for in ``directories``.
    A capture that cannot be read is skipped: its report says so.
    """
    symbols = RunSymbols(StoredSymbols(), time.time(), directories)
    for capture in (*run_dir.captures(), *run_dir.captures_of_children()):
        try:
            places = symbols.places(replay(capture, on_step))  # which is gone before names come
        except CaptureError:
            continue
        on_step("Storing the names of native frames")
        symbols.name(places)
    named = symbols.named()
    if named.images:
        files.write_atomically(run_dir.symbols, store.encode(named))


class RunSymbols:
    """The symbols of a run that ended at ``recorded_until_s`` (since the epoch).

    ``stored`` are the names that were stored with it; ``directories`` are where the files lie that
    were loaded by a relative path.
    """

    def __init__(
        self,
        stored: StoredSymbols,
        recorded_until_s: float,
        directories: Sequence[str] = (),
    ) -> None:
        self._stored = stored
        self._recorded_until_s = recorded_until_s
        self._directories = directories

    def hybrid_stacks(self, trace: Trace, sites: Sequence[int]) -> Mapping[int, Sequence[RawFrame]]:
        symbols = _TraceSymbols(trace, self._server)
        return {site: symbols.hybrid_stack(site) for site in sites if trace.sites.native[site]}

    def name_all(self, trace: Trace) -> None:
        """Name every native frame of ``trace``."""
        self.name(self.places(trace))

    def places(self, trace: Trace) -> Mapping[Image, set[int]]:
        """Return the addresses of all native frames of ``trace`` in the files they lie in."""
        symbols = _TraceSymbols(trace, self._server)
        places: dict[Image, set[int]] = {}
        for generation, addresses in trace.native_addresses():
            for image, place in symbols.places(generation, addresses):
                places.setdefault(image, set()).add(place)
        return places

    def name(self, places: Mapping[Image, set[int]]) -> None:
        """Name these addresses: file by file, so that few tables are open."""
        for image, found in places.items():
            self._server.name(image, sorted(found))

    def named(self) -> StoredSymbols:
        """Return everything that was named so far."""
        return self._server.answered()

    @cached_property
    def _server(self) -> SymbolServer:
        return SymbolServer(lambda image: self._files.find(image), self._stored)

    @cached_property
    def _files(self) -> SymbolFiles:
        # Here and not above: it takes a while to import, and where all names are stored, or all
        # stacks are Python's alone, none of it is needed.
        from memdeep.symbols.cache import SymbolCache, directory_of
        from memdeep.symbols.debuginfod import Debuginfod
        from memdeep.symbols.files import SymbolFiles

        kept_in = os.environ.get("DEBUGINFOD_CACHE_PATH")
        return SymbolFiles(
            SymbolCache(directory_of("memdeep") / "symbols"),
            Debuginfod(os.environ, Path(kept_in) if kept_in else directory_of("debuginfod_client")),
            self._recorded_until_s,
            self._stored.build_ids(),
            directories=self._directories,
        )


class _TraceSymbols:
    """Names the native frames of one capture."""

    def __init__(self, trace: Trace, server: SymbolServer) -> None:
        self._trace = trace
        self._server = server
        self._spaces = [
            AddressSpace(
                [(Image(module.filename, module.segments), module.address) for module in modules]
            )
            for modules in trace.generations
        ]
        self._known: list[dict[int, Frames]] = [{} for _ in self._spaces]  # by generation

    def hybrid_stack(self, site: int) -> list[RawFrame]:
        sites = self._trace.sites
        python = self._trace.python_stack(sites.node[site])
        generation = sites.generation[site]
        addresses = self._trace.native_stack(sites.native[site])
        known = self._known[generation]
        for address in set(addresses).difference(known):
            known[address] = self._frames(generation, address)
        return merge(
            [frame.raw for frame in python],
            [frame.is_entry for frame in python],
            list(chain.from_iterable(map(known.__getitem__, addresses))),
        )

    def places(self, generation: int, addresses: Iterable[int]) -> Iterator[tuple[Image, int]]:
        """Yield the file that each call lies in, with the address as the file counts it."""
        find = self._spaces[generation].find
        return filter(None, (find(address - 1) for address in addresses))

    def _frames(self, generation: int, address: int) -> Frames:
        """Return the functions that contain the call before ``address``, innermost first."""
        # What follows a call may belong to another line, or to another function.
        place = self._spaces[generation].find(address - 1)
        return (NOWHERE,) if place is None else self._server.frames(*place)
