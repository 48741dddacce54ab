"""Descriptors that the program has closed are opened again, those that a recording has closed not.

A thread may be about to record a checkpoint when another one ends the recording.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from memdeep.record.appending import AppendedFile
from memdeep.record.rss import RssReader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is a file of /proc there")


def opened(path: str = "/statm") -> list[str]:
    """Return the descriptors of this process at which ``path`` is open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").endswith(path):
                found.append(name)
    return found


def test_a_descriptor_that_the_program_has_closed_is_opened_again() -> None:
    before = opened()
    read = RssReader()
    (own,) = {*opened()} - {*before}
    os.close(int(own))
    assert read()[0]
    read.close()
    assert opened() == before


def test_a_thread_that_reads_after_the_end_opens_nothing() -> None:
    before = opened()
    read = RssReader()
    read.close()
    assert read() == (None, None)
    assert opened() == before


def test_a_thread_that_writes_at_the_end_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.touch()
    file = AppendedFile(str(path))

    def at_the_end(descriptor: int) -> os.stat_result:
        file.close()
        return os.fstat(descriptor)

    file._fstat = at_the_end
    file.write(b"late\n")
    assert opened(str(path)) == []
    assert path.read_bytes() == b""


def test_a_file_that_the_program_has_closed_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.touch()
    file = AppendedFile(str(path))
    (own,) = opened(str(path))
    os.close(int(own))
    file.write(b"line\n")
    file.close()
    assert opened(str(path)) == []
    assert path.read_bytes() == b"line\n"
