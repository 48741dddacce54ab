"""Reads, from outside, the resident size of a process and all its descendants."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from memdeep.model.statement import Statement, state
from memdeep.rundir.meta import SeenProcess
from memdeep.rundir.samples import ProcessSample

TREE_REFRESH_S = 0.25  # walking the process table is dear; sizes are read far more often


class TreeSampler:
    """Samples ``root_pid`` and its descendants; ``origin_ns`` is the zero of its times (monotonic).

    ``address_space_bytes`` is what the root has mapped. ``replaced_by`` states the program that
    the root has become by exec, None if that was not seen.
    """

    def __init__(self, root_pid: int, origin_ns: int) -> None:
        self.root_pid = root_pid
        self.address_space_bytes = 0
        self.replaced_by: Statement | None = None
        self._image = _image(root_pid)
        self._origin_ns = origin_ns
        self._processes: dict[int, psutil.Process] = {}
        self._peaks: dict[int, int] = {}
        self._commands: dict[int, tuple[int | None, str | None]] = {}
        self._refreshed_s = float("-inf")

    def sample(self) -> list[ProcessSample]:
        """Read the size of each process alive now; return none once the program has ended."""
        self._refresh()
        time_ms = (time.monotonic_ns() - self._origin_ns) // 1_000_000
        self._look_for_exec(time_ms / 1000)
        samples = []
        for pid, process in list(self._processes.items()):
            try:
                memory = process.memory_info()
            except psutil.Error:
                del self._processes[pid]
                continue
            if memory.rss:  # a process that has ended but was not waited for has none
                if pid == self.root_pid:
                    self.address_space_bytes = memory.vms
                self._peaks[pid] = max(self._peaks.get(pid, 0), memory.rss)
                # Linux alone tells them: statm(5) calls them shared.
                file_bytes = getattr(memory, "shared", None)
                samples.append(ProcessSample(time_ms, pid, memory.rss, file_bytes))
        return samples

    def seen(self, root_exit: int | None) -> tuple[SeenProcess, ...]:
        """Return all processes sampled so far, the program itself first."""
        return tuple(
            SeenProcess(
                pid=pid,
                parent_pid=self._commands[pid][0],
                command=self._commands[pid][1],
                peak_rss_bytes=peak,
                exit=root_exit if pid == self.root_pid else None,
            )
            for pid, peak in self._peaks.items()
        )

    def kill_rest(self) -> None:
        """Kill the descendants of the root that are still alive."""
        for pid, process in self._processes.items():
            if pid != self.root_pid:
                with suppress(psutil.Error):
                    process.kill()

    def _look_for_exec(self, time_s: float) -> None:
        image = _image(self.root_pid)
        if self._image is None or image is None or image == self._image:
            return
        self._image = image
        with suppress(psutil.Error):
            _, command = _describe(psutil.Process(self.root_pid))
            self.replaced_by = state("exit.exec", after_s=time_s, command=command or "?")

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._refreshed_s < TREE_REFRESH_S:
            return
        self._refreshed_s = now_s
        try:
            root = psutil.Process(self.root_pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        for process in tree:
            if process.pid not in self._processes:
                self._processes[process.pid] = process
                self._commands[process.pid] = _describe(process)


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
        return process.ppid(), " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return None, None
