"""Takes back what sealing did to a run: so it is left where memdeep itself was killed."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

from running import environment

from memdeep.heap import packed
from memdeep.rundir import marker
from memdeep.rundir.directory import RunDirectory

MAX_BYTES = 1 << 30


def original(sequence: int) -> bytes:
    """A marker as memray recorded it."""
    return b"\x0a" + marker.name(sequence).encode() + b"\0"


def unseal(path: Path) -> list[int]:
    """Put the markers back and remove the lists of them; returns how many each capture had."""
    run_dir = RunDirectory(path)
    counts = []
    for number in range(1, len(run_dir.captures()) + 1):
        places = run_dir.markers(number)
        found = marker.decode_places(places.read_bytes()) if places.exists() else []
        with open(run_dir.capture(number), "r+b") as file:
            for offset, sequence in found:
                file.seek(offset)
                file.write(original(sequence))
        places.unlink(missing_ok=True)
        counts.append(len(found))
    return counts


def unpack(capture: Path) -> None:
    """Put what was compressed at the end of a run back as memray wrote it."""
    with open(capture, "rb") as file:
        assert packed.is_packed(file)
        content = b"".join(packed.unpacked(file))
    capture.write_bytes(content)


def captures(run: Path) -> list[Path]:
    """The captures of a run: the program's, then those of its processes."""
    run_dir = RunDirectory(run)
    return [*run_dir.captures(), *run_dir.captures_of_children()]


def left_by(command: list[str], run: Path) -> Path:
    """The run that ``command`` makes, as its program left it: nothing sealed or compressed."""
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    for capture in captures(run):
        unpack(capture)
    assert unseal(run) != [0]
    return run


def hashes(directory: Path) -> dict[str, str]:
    """The sha256 of every file below ``directory``, but for what is endless or nearly so."""
    return {
        str(path.relative_to(directory)): sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and path.stat().st_size < MAX_BYTES
    }
