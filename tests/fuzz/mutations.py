"""Damages a recorded run as disks, crashes and other people do. The same choices, the same damage.

Choices come from a `random.Random`, or from what hypothesis offers in its place.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

MAX_BYTES = 1 << 24  # what is longer is a sparse file that was put here
INTEGER = re.compile(rb"-?\d+")
INTERESTING = (
    *(b"0", b"-1", b"1", b"4096", b"2147483648", b"9223372036854775807", b"9223372036854775808"),
    *(b"18446744073709551616", b"9" * 30, b"1e308", b"1e999", b"NaN", b"Infinity", b"null"),
    *(b"true", b'"text"', b"[]", b"{}", b"0.5"),
)
VARINTS = (b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f", b"\x80" * 9 + b"\x01", b"\xff\xff\xff\x7f")
HOSTILE = (
    b"<script>alert(1)</script>",
    b"\\u202e\\u2066",
    b"\\u001b[31m",
    b"\\ud800",
    b"../../../etc/passwd",
    b"\x1b]0;owned\x07",
    b"\xff\xfe",
)


def mutate_run(run_dir: Path, others: Sequence[Path], random: Random) -> str:
    """Damage up to three things in ``run_dir``; ``others`` are runs to take files from.

    Returns what was done, in words.
    """
    done = []
    for _ in range(random.randint(1, 3)):
        names = sorted(path.name for path in run_dir.iterdir() if path.name != "monitor.log")
        if not names:
            break
        path = run_dir / random.choice(names)
        kind = random.choice(("bytes",) * 12 + ("lines",) * 4 + ("swap", "remove", "replace"))
        if kind == "swap":
            other = random.choice(others) / path.name
            if other.is_file():
                _remove(path)
                shutil.copy(other, path)
        elif kind == "remove":
            _remove(path)
        elif kind == "replace":
            _remove(path)
            _put_something_else(path, random)
        elif path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            content = path.read_bytes()
            is_text = path.suffix != ".bin"
            change = mutated_lines if kind == "lines" and is_text else mutated
            path.write_bytes(change(content, random))
        done.append(f"{kind} of {path.name}")
    return ", ".join(done)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _put_something_else(path: Path, random: Random) -> None:
    kind = random.choice(("directory", "pipe", "device", "kernel", "loop", "sparse"))
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "kernel":
        path.symlink_to("/proc/self/maps")
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        path.touch()
        os.truncate(path, 1 << random.choice((28, 40)))


def mutated(content: bytes, random: Random) -> bytes:
    """``content`` with one damage of the kind that bytes suffer."""
    data = bytearray(content)
    end = max(1, len(content.rstrip(b"\0")))  # what follows is not written yet
    at = random.randrange(end)
    length = random.choice((1, 8, 40, 200, 4096))
    to = min(len(data), at + length)
    kind = random.choice(
        ("cut", "flip", "noise", "zeros", "ones", "varint", "insert", "delete", "copy")
    )
    if not data:
        return random.choice(HOSTILE)
    if kind == "cut":
        del data[at:]
    elif kind == "flip":
        data[at] ^= 1 << random.randrange(8)
    elif kind == "noise":
        for _ in range(random.randint(2, 40)):
            data[random.randrange(end)] = random.randrange(256)
    elif kind == "zeros":
        data[at:to] = bytes(to - at)
    elif kind == "ones":
        data[at:to] = b"\xff" * (to - at)
    elif kind == "varint":
        data[at : at + random.choice((0, 1, 9))] = random.choice(VARINTS)
    elif kind == "insert":
        data[at:at] = random.choice(HOSTILE)
    elif kind == "delete":
        del data[at:to]
    else:
        start = random.randrange(end)
        data[at:at] = data[start : start + length]
    return bytes(data)


def mutated_lines(content: bytes, random: Random) -> bytes:
    """``content`` with one damage that only text suffers: whole lines, or a figure in one."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    at = random.randrange(len(lines))
    kind = random.choice(("figure", "figure", "figure", "text", "drop", "repeat", "swap"))
    if kind == "figure":
        found = list(INTEGER.finditer(lines[at]))
        if found:
            one = random.choice(found)
            figure = random.choice(INTERESTING)
            lines[at] = lines[at][: one.start()] + figure + lines[at][one.end() :]
    elif kind == "text":
        place = lines[at].rfind(b'"')
        lines[at] = lines[at][:place] + random.choice(HOSTILE) + lines[at][place:]
    elif kind == "drop":
        del lines[at : at + random.randint(1, 3)]
    elif kind == "repeat":
        lines[at:at] = lines[at : at + 3]
    else:
        other = random.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return b"".join(lines)
