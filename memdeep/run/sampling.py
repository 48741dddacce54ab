"""Reads, from outside, the memory of a process and of all its descendants."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from memdeep.frozen import frozen, replace
from memdeep.model.statement import Statement, state
from memdeep.record import bootstrap, how
from memdeep.record.program import WhatToRun
from memdeep.run import shares
from memdeep.run.limits import PSS, RSS
from memdeep.run.looks import CHILD_NAME
from memdeep.run.shares import Pace
from memdeep.run.split import SplitReader
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import ENDING_S, SeenProcess
from memdeep.rundir.samples import ProcessSample, tree_bytes

TREE_REFRESH_S = 0.25  # walking the process table is dear; sizes are read far more often
ENDING_LOOK_S = 0.01
HIGHER = 17 / 16  # so much above the RSS at any reading of the PSS, this may have its highest
REFRESH_RATIO = 20  # an early walk comes after so many times what the last one took


@frozen
class TreeSize:
    """The memory of all processes of a tree at one moment.

    ``measure`` is RSS for a lone process, and for several where the system does not tell PSS.
    """

    bytes: int
    measure: str


@frozen
class TreeReading:
    """The processes alive at one moment, none once the program has ended.

    ``size`` is None where there are several and their PSS was not read at this moment.
    """

    processes: tuple[ProcessSample, ...] = ()
    size: TreeSize | None = None


class TreeSampler:
    """Samples ``root_pid`` and its descendants; ``origin_ns`` is the zero of its times (monotonic).

    ``address_space_bytes`` is what the root has mapped. ``replaced_by`` states the program that
    the root has become by exec, None if that was not seen. ``peak_pss_bytes`` is the highest sum of
    PSS at one moment; ``problem`` says that the PSS of a process could not be read.
    """

    def __init__(
        self,
        root_pid: int,
        origin_ns: int,
        births: Path | None = None,
        *,
        is_older: bool = False,
    ) -> None:
        """Take notice of new processes at once where these write to the file ``births``.

        ``is_older`` is True if the root was there long before the zero of the times.
        """
        self.root_pid = root_pid
        self._births = births
        self._births_bytes = 0
        self.address_space_bytes = 0
        self.replaced_by: Statement | None = None
        self.peak_pss_bytes: int | None = None
        self.problem: str | None = None
        self._image = _image(root_pid)
        self._origin_ns = origin_ns
        self._last_ms = -1
        self._alive: dict[int, _Watched] = {}
        self._met: list[_Watched] = []
        self._root_created_s: float | None = None
        if is_older:
            self._root_created_s = time.time() - (time.monotonic_ns() - origin_ns) / 1e9
        self._refreshed_s = float("-inf")
        self._refresh_took_s = 0.0
        self._pace = Pace()
        self._highest_bytes = 0  # sum of the RSS at readings of the PSS
        self._split = None if births is None else SplitReader(RunDirectory(births.parent))

    def sample(self, force_at_bytes: int | None = None) -> TreeReading:
        """Read the RSS of each process alive now, and their PSS if it is due or forced.

        It is forced once the sum of the RSS has reached ``force_at_bytes``, as the sum of the PSS,
        which is never higher, may then have reached it, too; and where the RSS is clearly higher
        than at any reading before, as that may soon be over.
        """
        self._refresh()
        time_ms = (time.monotonic_ns() - self._origin_ns) // 1_000_000
        # What is read at one time is added up: two readings must not be of one millisecond.
        time_ms = self._last_ms = max(time_ms, self._last_ms + 1)
        self._look_for_exec(time_ms / 1000)
        processes = self._read_rss(time_ms)
        if self._split is not None:
            self._split.look(sample.pid for sample in processes)
        size = None
        if len(processes) == 1:
            size = TreeSize(processes[0].rss_bytes, RSS)
        elif processes:
            rss_bytes = sum(sample.rss_bytes for sample in processes)
            is_forced = force_at_bytes is not None and rss_bytes >= force_at_bytes
            is_forced |= rss_bytes > HIGHER * self._highest_bytes
            if self._pace.allows(time.monotonic(), is_forced=is_forced):
                self._highest_bytes = max(self._highest_bytes, rss_bytes)
                processes = self._read_shares(processes)
                size = self._size(processes)
        for sample in processes:
            self._alive[sample.pid].note(sample)
        return TreeReading(tuple(processes), size)

    def close(self) -> None:
        """Close the files that are read on; call it when the program has ended."""
        if self._split is not None:
            self._split.close()

    def seen(self, root_exit: int | None) -> tuple[SeenProcess, ...]:
        """Return all processes sampled so far, the program itself first."""
        found = [one.seen for one in self._met if one.seen.end_s is not None]
        return tuple(
            replace(one, exit=root_exit) if one.pid == self.root_pid else one for one in found
        )

    def outlived(self) -> frozenset[int]:
        """Return the descendants that are alive some moments after the root's end."""
        until_s = time.monotonic() + ENDING_S
        alive = {pid for pid in self._alive if pid != self.root_pid}
        while alive := {pid for pid in alive if _is_alive(self._alive[pid].process)}:
            if time.monotonic() >= until_s:
                break
            time.sleep(ENDING_LOOK_S)
        return frozenset(alive)

    def kill_rest(self) -> None:
        """Kill the descendants of the root that are still alive."""
        for pid, watched in self._alive.items():
            if pid != self.root_pid:
                with suppress(psutil.Error):
                    watched.process.kill()

    def _read_rss(self, time_ms: int) -> list[ProcessSample]:
        figures: dict[int, Any] = {}
        for pid, watched in list(self._alive.items()):
            try:
                figures[pid] = watched.process.memory_info()
            except psutil.Error:
                del self._alive[pid]
        processes = []
        for pid, memory in figures.items():
            # A process that has ended but was not waited for has no RSS. One that was made by vfork
            # lives in its parent's memory, to the byte, until it becomes another program.
            if not memory.rss or memory == figures.get(self._alive[pid].seen.parent_pid or 0):
                continue
            if pid == self.root_pid:
                self.address_space_bytes = memory.vms
            # Linux alone tells them: statm(5) calls them shared.
            file_bytes = getattr(memory, "shared", None)
            processes.append(ProcessSample(time_ms, pid, memory.rss, file_bytes))
        return processes

    def _read_shares(self, processes: list[ProcessSample]) -> list[ProcessSample]:
        """Read the shares of all processes at one moment; leave out those that have just ended."""
        began_s = time.thread_time()
        read = []
        for sample in processes:
            with suppress(shares.Gone):
                read.append(shares.with_shares(sample))
        self._pace.note(time.monotonic(), time.thread_time() - began_s)
        return read

    def _size(self, processes: list[ProcessSample]) -> TreeSize | None:
        size_bytes = tree_bytes(processes)
        if size_bytes is None:
            self.problem = (
                "How much memory its processes share cannot be read here (PSS): the memory of "
                "several is the sum of their RSS, which counts a shared page once for each."
            )
            return TreeSize(sum(sample.rss_bytes for sample in processes), RSS)
        if len(processes) > 1:
            self.peak_pss_bytes = max(self.peak_pss_bytes or 0, size_bytes)
            return TreeSize(size_bytes, PSS)
        return TreeSize(size_bytes, RSS) if processes else None

    def _look_for_exec(self, time_s: float) -> None:
        image = _image(self.root_pid)
        if self._image is None or image is None or image == self._image:
            return
        self._image = image
        with suppress(psutil.Error):
            _, command = _describe(psutil.Process(self.root_pid))
            self.replaced_by = state("exit.exec", after_s=time_s, command=command or "?")

    def _has_births(self) -> bool:
        """Tell if a process was born, or has ended, since the last look."""
        before, self._births_bytes = self._births_bytes, _size_of(self._births)
        return self._births_bytes != before

    def _refresh(self) -> None:
        now_s = time.monotonic()
        since_s = now_s - self._refreshed_s
        is_early = since_s >= REFRESH_RATIO * self._refresh_took_s and self._has_births()
        if since_s < TREE_REFRESH_S and not is_early:
            return
        self._refreshed_s = now_s
        try:
            root = psutil.Process(self.root_pid)
            if self._root_created_s is None:
                self._root_created_s = root.create_time()
            # This process is one where the root adopts orphans, as the system's first one does.
            below = [one for one in _below(root) if one.pid != os.getpid()]
            tree = [root, *below]
        except psutil.Error:
            return
        for process in tree:
            known = self._alive.get(process.pid)
            if known is None or known.process != process:  # a number may be given out again
                if _looks_at_holders(process):
                    continue
                watched = _Watched(process, self._root_created_s)
                self._alive[process.pid] = watched
                self._met.append(watched)
        self._refresh_took_s = time.monotonic() - now_s


def _below(root: psutil.Process) -> list[psutil.Process]:
    """Return the descendants of ``root``. Raises psutil.Error if it has ended.

    Linux tells the children of each thread. Elsewhere all processes of the system are asked for
    their parents, which takes long where there are many.
    """
    if not os.path.exists(f"/proc/{root.pid}/task/{root.pid}/children"):
        return root.children(recursive=True)
    found: list[psutil.Process] = []
    left = [root.pid]
    while left:
        for child in _children(left.pop()):
            with suppress(psutil.Error):  # it has ended meanwhile
                found.append(psutil.Process(child))
                left.append(child)
    return found


def _children(pid: int) -> list[int]:
    """Return the children of a process, none if it has ended."""
    children: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    return children


class _Watched:
    """A process of the tree, and what was seen of it."""

    __slots__ = ("process", "seen")

    def __init__(self, process: psutil.Process, root_created_s: float) -> None:
        self.process = process
        parent_pid, command = _describe(process)
        start_s = None
        with suppress(psutil.Error):
            start_s = max(0.0, process.create_time() - root_created_s)
        self.seen = SeenProcess(process.pid, parent_pid, command, 0, start_s=start_s)

    def note(self, sample: ProcessSample) -> None:
        """Note a reading of this process."""
        seen = self.seen
        self.seen = replace(
            seen,
            end_s=sample.time_ms / 1000,
            peak_rss_bytes=max(seen.peak_rss_bytes or 0, sample.rss_bytes),
            peak_pss_bytes=_higher(seen.peak_pss_bytes, sample.pss_bytes),
            peak_uss_bytes=_higher(seen.peak_uss_bytes, sample.uss_bytes),
        )


def _looks_at_holders(process: psutil.Process) -> bool:
    """Tell if this is no process of the program's, but one that looks at its objects."""
    try:
        return process.name() == CHILD_NAME
    except psutil.Error:
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _higher(peak_bytes: int | None, read_bytes: int | None) -> int | None:
    if peak_bytes is None or read_bytes is None:
        return read_bytes if peak_bytes is None else peak_bytes
    return max(peak_bytes, read_bytes)


def _size_of(file: Path | None) -> int:
    try:
        return 0 if file is None else file.stat().st_size
    except OSError:
        return 0


def _image(pid: int) -> str | None:
    """Return the address of the stack, which each exec changes; field 28 of stat in proc(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return fields[25].decode() if fields[25] != b"0" else None
    except (OSError, IndexError):
        return None


def _describe(process: psutil.Process) -> tuple[int | None, str | None]:
    try:
        return process.ppid(), " ".join(_plain(process.cmdline())) or process.name()
    except psutil.Error:
        return None, None


def _plain(words: list[str]) -> list[str]:
    """Return the words that run a program plainly; it and its forks still have those of memdeep."""
    if bootstrap.__file__ not in words or how.END not in words:
        return words
    program = words[words.index(how.END) + 1 :]
    return [words[0], *WhatToRun.from_words(program).command] if len(program) > 1 else words
