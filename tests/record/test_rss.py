"""The resident size is read from a descriptor that the program may close, and a recording does."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import pytest

from memdeep.record.rss import RssReader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is a file of /proc there")


def opened() -> list[str]:
    """Return the descriptors of this process at which the file is open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").endswith("/statm"):
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
    """It has been about to when another one ended the recording."""
    before = opened()
    read = RssReader()
    read.close()
    assert read() == (None, None)
    assert opened() == before
