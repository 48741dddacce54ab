"""What is kept comes back as it was, or not at all; nothing that goes wrong is anybody's error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.symbols.cache import SymbolCache, directory_of

WRITER = """
import random, sys
from pathlib import Path
from memdeep.symbols.cache import SymbolCache
cache = SymbolCache(Path(sys.argv[1]), limit_bytes=400_000)
for turn in range(150):
    key = f"{random.randrange(6):040x}-own"
    kept = cache.read(key)
    assert kept is None or kept == key.encode() * 1000, "torn"
    cache.write(key, key.encode() * 1000)
"""

FULL_DISK = """
import resource, sys
from pathlib import Path
from memdeep.symbols.cache import SymbolCache
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
cache = SymbolCache(Path(sys.argv[1]))
cache.write("small", bytes(500))
cache.write("large", bytes(5000))
assert cache.read("small") and cache.read("large") is None
"""


def entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    cache = SymbolCache(tmp_path / "made" / "on demand")
    assert cache.read("a") is None
    cache.write("a", b"content")
    cache.write("b", b"")
    assert cache.read("a") == b"content"
    assert cache.read("b") == b""
    assert SymbolCache(tmp_path / "made" / "on demand").read("a") == b"content"


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    SymbolCache(tmp_path / "cache").write("a", b"content")
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert entries(tmp_path / "cache")[0].stat().st_mode & 0o077 == 0


@examples(share_fixtures=True)
@given(end=st.integers(0, 40), place=st.integers(0, 39), value=st.integers(0, 255))
def test_a_damaged_entry_is_none(tmp_path: Path, end: int, place: int, value: int) -> None:
    cache = SymbolCache(tmp_path)
    cache.write("a", b"twenty bytes content")
    [path] = entries(tmp_path)
    whole = path.read_bytes()
    assert len(whole) == 40
    damaged = bytearray(whole)
    damaged[place] = value
    path.write_bytes(damaged[:end])
    assert cache.read("a") in (None, b"twenty bytes content")
    assert (cache.read("a") is None) == (bytes(damaged[:end]) != whole)


def test_an_entry_with_something_behind_it_is_none(tmp_path: Path) -> None:
    cache = SymbolCache(tmp_path)
    cache.write("a", b"content")
    with open(entries(tmp_path)[0], "ab") as file:
        file.write(b"\0")
    assert cache.read("a") is None
    cache.write("a", b"content")
    assert cache.read("a") == b"content"


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = SymbolCache(tmp_path, limit_bytes=3_500)
    for number, key in enumerate("abc"):
        cache.write(key, bytes(1_000))
        age(tmp_path / f"{key}.symbols", 100 - number)
    assert cache.read("a") is not None  # used just now
    cache.write("d", bytes(1_000))
    assert [path.stem for path in entries(tmp_path)] == ["a", "d"]


def test_what_an_interrupted_writer_left_is_removed_later(tmp_path: Path) -> None:
    old, fresh, foreign = (tmp_path / name for name in ("old.tmp", "fresh.tmp", "notes.txt"))
    for path in (old, fresh, foreign):
        path.write_bytes(b"half")
    age(old, 7200)
    age(foreign, 7200)
    SymbolCache(tmp_path, limit_bytes=0).write("a", b"content")
    assert [path.name for path in entries(tmp_path)] == ["fresh.tmp", "notes.txt"]


def test_entries_can_be_too_old(tmp_path: Path) -> None:
    cache = SymbolCache(tmp_path)
    cache.write("a", b"content")
    assert cache.read("a", max_age_s=60) == b"content"
    age(tmp_path / "a.symbols", 100)
    assert cache.read("a", max_age_s=60) is None
    assert cache.read("a", max_age_s=60) is None  # looking does not make it young again


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/cache"])
def test_without_a_place_nothing_is_kept_and_nothing_fails(place: str) -> None:
    cache = SymbolCache(Path(place))
    cache.write("a", b"content")
    assert cache.read("a") is None


def test_a_disk_that_takes_no_more_is_no_error(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], check=True, timeout=60)
    assert [path.name for path in entries(tmp_path)] == ["small.symbols"]


def test_many_processes_may_use_it_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(4)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 400_000
    assert all(path.suffix == ".symbols" for path in entries(tmp_path))


def test_the_cache_lies_where_the_user_wants_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "darwin":
        assert "Library/Caches" in str(directory_of("memdeep"))
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        assert directory_of("memdeep") == Path("/elsewhere/memdeep")
