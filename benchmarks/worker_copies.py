"""Makes the run directory of a thousand workers out of that of a few, with sizes of their own.

Each copy is a recording as a worker on another host leaves it: its number, its birth, its end, its
capture and its journal. In its capture the sizes of some allocations are replaced by others whose
encoding has as many bytes, so that all else stays as it was recorded, and the sums are known.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.workers import Worker, encode_worker

FIRST_PID = 1_000_000  # no real one is as high
STEP, STEPS = 8, 500  # sizes get smaller by up to 4,000 bytes
LEAST, MOST = 1 << 14, 1 << 21  # sizes whose encoding has three bytes
LIMIT = 4_000_000_000
COMMAND_AT = 49  # in the header of a capture; behind it comes the pid

# The sizes that a row (its path) allocates, each once in all captures.
Sizes = Mapping[str, list[int]]


@dataclass(frozen=True, slots=True)
class Spot:
    """The place (byte offset) in a capture of the size of an allocation in the row ``path``."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Made:
    """What copies add to the figures of those that they were made of.

    ``by_seed`` is the number of copies of each process (its number), ``less`` the bytes that each
    row of all copies has less than theirs.
    """

    by_seed: Mapping[int, int]
    less: Mapping[str, int]


def copies(seed: Path, into: Path, count: int, sizes: Sizes) -> Made:
    """Write to ``into`` the run at ``seed`` with ``count`` workers in place of its own.

    Raises ValueError unless each of ``sizes`` is in the captures exactly once.
    """
    run_dir = RunDirectory(into)
    (into / "children").mkdir(parents=True)
    children = [child for child in RunDirectory(seed).children() if child.worker.exists()]
    pids = [_pid(child) for child in children]
    captures = [child.capture().read_bytes() for child in children]
    spots = _spots(captures, sizes)
    less: Counter[str] = Counter()
    lines = (seed / "births.jsonl").read_text("utf-8").splitlines()
    births = [json.loads(line) for line in lines]
    added = [line for line, known in zip(lines, births, strict=True) if known["pid"] not in pids]
    for number in range(count):
        place = number % len(children)
        child = run_dir.child(str(FIRST_PID + number))
        child.path.mkdir()
        content = bytearray(captures[place])
        for order, spot in enumerate(spots[place]):
            smaller = STEP * ((number * 7919 + order * 104729) % STEPS)
            content[spot.offset : spot.offset + 3] = _varint(spot.size - smaller)
            less[spot.path] += smaller
        _copy_child(children[place], child, content, number)
        added += [
            json.dumps(line) for line in _births(births, pids[place], number, child.path.name)
        ]
    (into / "births.jsonl").write_text("".join(f"{line}\n" for line in added), "utf-8")
    _copy_run(seed, into, pids, count)
    return Made(Counter(pids[number % len(pids)] for number in range(count)), less)


def _pid(child: RunDirectory) -> int:
    first = child.journal.read_text("utf-8").splitlines()[0]
    return int(json.loads(first)["pid"])


def _spots(captures: list[bytes], sizes: Sizes) -> list[list[Spot]]:
    """Find each of ``sizes``; return the places by capture, in the order of the sizes."""
    found: list[list[Spot]] = [[] for _ in captures]
    for path, of_path in sizes.items():
        for size in of_path:
            if not LEAST + STEP * STEPS <= size < MOST:
                raise ValueError(f"the encoding of {size} may change its length")
            wanted = _varint(size)
            at = [
                (place, offset)
                for place, content in enumerate(captures)
                for offset in _all_of(content, wanted)
            ]
            if len(at) != 1:
                raise ValueError(f"{size} is in the captures {len(at)} times")
            found[at[0][0]].append(Spot(path, at[0][1], size))
    return found


def _all_of(content: bytes, wanted: bytes) -> Iterator[int]:
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + 1)


def _varint(size: int) -> bytes:
    return bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])


def _copy_child(seed: RunDirectory, child: RunDirectory, capture: bytearray, number: int) -> None:
    pid = FIRST_PID + number
    old = _pid(seed)
    at = capture.index(b"\0", COMMAND_AT) + 1
    if capture[at : at + 4] != old.to_bytes(4, "little"):
        raise ValueError(f"{seed.capture()} is another process's")
    capture[at : at + 4] = pid.to_bytes(4, "little")
    child.capture().write_bytes(capture)
    first, _, rest = seed.journal.read_bytes().partition(b"\n")
    first = json.dumps({**json.loads(first), "pid": pid}).encode("ascii")
    child.journal.write_bytes(first + b"\n" + rest)
    if seed.mappings.exists():
        os.link(seed.mappings, child.mappings)
    address = f"tcp://10.0.{number // 250}.{number % 250 + 1}:40000"
    child.worker.write_bytes(encode_worker(Worker(pid, str(number), address, 1, LIMIT)))


def _births(
    lines: list[dict[str, Any]], old: int, number: int, directory: str
) -> Iterator[dict[str, Any]]:
    pid = FIRST_PID + number
    for line in lines:
        if line["pid"] != old:
            continue
        new = {**line, "pid": pid}
        if "dir" in line:
            words = line.get("av") or [""]
            new |= {"dir": directory, "av": [*words[:-1], str(number)]}
            new["up"] = [[pid, line["up"][0][1]], *line["up"][1:]]
        yield new


def _copy_run(seed: Path, into: Path, pids: list[int], count: int) -> None:
    """Copy the files of the run without what was seen of its workers: others were elsewhere."""
    meta = json.loads((seed / "meta.json").read_text("utf-8"))
    known = {one["pid"]: one for one in meta["processes"]}
    not_seen = ("command", "parent_pid", "start_s", "end_s")
    not_seen += ("peak_rss_bytes", "peak_pss_bytes", "peak_uss_bytes")
    meta["processes"] = [one for pid, one in known.items() if pid not in pids] + [
        {**known[old], **dict.fromkeys(not_seen), "pid": FIRST_PID + number}
        for number in range(count)
        if (old := pids[number % len(pids)]) in known
    ]
    (into / "meta.json").write_text(json.dumps(meta), "utf-8")
    of_pids = {str(pid) for pid in pids}
    samples = (seed / "samples").read_text("utf-8").splitlines()
    kept = [line for line in samples if of_pids.isdisjoint(line.split("\t")[1:2])]
    (into / "samples").write_text("".join(f"{line}\n" for line in kept), "utf-8")
    for name in ("journal.jsonl", "cells", "claims", "capture.bin", "mappings"):
        if (seed / name).exists():
            (into / name).write_bytes((seed / name).read_bytes())
