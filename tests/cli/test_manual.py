"""The manual page is what the table of options says today, and a reader of such pages takes it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess

import pytest
from running import ROOT

PAGE = ROOT / "docs" / "memdeep.1"


def test_the_manual_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("manual", ROOT / "docs" / "manual.py")
    assert spec is not None
    assert spec.loader is not None
    manual = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manual)
    assert PAGE.read_text("utf-8") == "\n".join(manual.page()) + "\n", "run `make man`"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="there is no mandoc here")
def test_a_reader_of_manual_pages_takes_it() -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "error", PAGE], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
