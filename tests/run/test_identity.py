"""A run knows what was run: main file, place, commit, machine. Git delays and breaks nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, environment, read_json

from memdeep.model import Identity
from memdeep.record.program import WhatToRun
from memdeep.run import identity
from memdeep.run.identity import GitQuestion, Revision, identify

HAS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def git(place: Path, *words: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *author, *words], cwd=place, capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of `app/prog.py`."""
    place = tmp_path / "repository"
    (place / "app").mkdir(parents=True)
    (place / "app" / "prog.py").write_text("print('hello')\n")
    git(place, "init", "-q")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "begin")
    return place


def revision(place: Path | None) -> Revision:
    with GitQuestion(Identity(root=None if place is None else str(place))) as question:
        return question.answer()


def script(path: str) -> WhatToRun:
    return WhatToRun(WhatToRun.SCRIPT, path, ())


@HAS_GIT
def test_a_commit_is_clean_until_a_file_of_it_changes(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert revision(repository / "app") == Revision(commit, False)
    (repository / "new.txt").write_text("not tracked")
    assert revision(repository / "app") == Revision(commit, False)
    (repository / "app" / "prog.py").write_text("print('changed')\n")
    assert revision(repository / "app") == Revision(commit, True)


@HAS_GIT
def test_what_is_no_commit_is_unknown(tmp_path: Path) -> None:
    assert revision(None) == revision(tmp_path) == revision(tmp_path / "gone") == Revision()
    git(tmp_path, "init", "-q")
    assert revision(tmp_path) == Revision()
    (tmp_path / ".git" / "HEAD").write_text("damaged")
    assert revision(tmp_path) == Revision()


@HAS_GIT
def test_git_runs_nothing_that_a_repository_names(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = repository / "ran"
    evil = repository / ".git" / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {sign}\ncat\n")
    evil.chmod(0o755)
    for hook in ("post-index-change", "fsmonitor-watchman"):
        shutil.copy(evil, repository / ".git" / "hooks" / hook)
    (repository / ".git" / "info" / "attributes").write_text("*.py filter=evil\n")
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.pager"):
        git(repository, "config", name, str(evil))
    (repository / "app" / "prog.py").write_text("print('longer than before')\n")
    monkeypatch.setenv("GIT_TRACE", str(sign))
    found = revision(repository)
    assert not sign.exists()
    # A filter that may not run could have said otherwise.
    assert found == Revision(git(repository, "rev-parse", "HEAD"), None)


@HAS_GIT
def test_no_lock_and_no_index_is_written(repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "app" / "prog.py", (1, 1))  # which `git status` would note
    before = (index.stat().st_mtime_ns, index.read_bytes())
    (repository / ".git" / "index.lock").touch()
    assert revision(repository).is_dirty is False
    assert (index.stat().st_mtime_ns, index.read_bytes()) == before


@HAS_GIT
def test_the_variables_of_another_repository_do_not_count(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
    assert revision(repository) == Revision(
        subprocess.run(
            ["git", "--git-dir", repository / ".git", "rev-parse", "HEAD"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip(),
        False,
    )


def put_first_on_path(directory: Path, body: str, patch: pytest.MonkeyPatch) -> Path:
    directory.mkdir()
    command = directory / "git"
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)
    patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return command


def test_a_git_that_hangs_is_left_after_a_moment_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    pid = tmp_path / "pid"
    put_first_on_path(tmp_path / "bin", f"echo $$ >{pid}; exec sleep 60", monkeypatch)
    monkeypatch.setattr(identity, "WAIT_S", 0.3)
    start_s = time.monotonic()
    assert revision(tmp_path) == Revision()
    assert time.monotonic() - start_s < 2
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.mark.parametrize(
    "body",
    ["exit 128", "echo no commit", "yes", "kill -9 $$"],
    ids=["fails", "odd", "long", "dies"],
)
def test_a_git_that_says_something_else_says_nothing(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    put_first_on_path(tmp_path / "bin", body, monkeypatch)
    assert revision(tmp_path) == Revision()


def test_git_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(tmp_path) == Revision()


def test_git_is_not_asked_where_there_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "asked"
    put_first_on_path(tmp_path / "bin", f"touch {sign}", monkeypatch)
    revision(tmp_path)
    assert not sign.exists()


def test_a_program_is_known_by_its_main_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for path in ("prog.py", "package/__init__.py", "package/__main__.py", "package/part.py"):
        (tmp_path / path).touch()
    (tmp_path / "package" / "inner" / "__main__.py").touch()
    monkeypatch.chdir(tmp_path / "package")

    def place(what: WhatToRun) -> tuple[str | None, str | None]:
        found = identify(what, ())
        assert found.cwd == os.getcwd()
        root = None if found.root is None else os.path.relpath(found.root, tmp_path)
        return (root, found.main)

    assert place(script("../prog.py")) == (".", "prog.py")
    assert place(script("inner")) == ("package/inner", "__main__.py")
    assert place(script("-")) == ("package", None)
    assert place(WhatToRun(WhatToRun.CODE, "pass", ())) == ("package", None)
    monkeypatch.chdir(tmp_path)
    assert place(WhatToRun(WhatToRun.MODULE, "package", ())) == ("package", "__main__.py")
    assert place(WhatToRun(WhatToRun.MODULE, "package.part", ())) == ("package", "part.py")
    assert place(WhatToRun(WhatToRun.MODULE, "package.inner", ())) == (
        "package/inner",
        "__main__.py",
    )


@pytest.mark.parametrize(
    ("variable", "interpreter", "seed"),
    [
        (None, (), "random"),
        ("random", (), "random"),
        ("0", (), 0),
        ("42", ("-X", "dev", "-WE"), 42),
        ("42", ("-E",), "random"),
        ("42", ("-sI", "-X", "dev"), "random"),
        ("0", ("-R",), "random"),
        ("7", ("-R",), 7),
    ],
)
def test_the_seed_of_hashes(
    variable: str | None,
    interpreter: tuple[str, ...],
    seed: int | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    if variable is not None:
        monkeypatch.setenv("PYTHONHASHSEED", variable)
    assert identify(script("x.py"), interpreter).hash_seed == seed


def test_a_directory_that_is_gone_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = identify(script("x.py"), ())
    assert (found.cwd, found.root, found.main) == (None, None, None)
    assert found.platform is not None


def identity_of(run_dir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The identity in meta.json, and the one in report.json."""
    meta = json.loads((run_dir / "meta.json").read_bytes())
    return meta["identity"], read_json(run_dir / "report.json")["identity"]


@HAS_GIT
def test_a_run_tells_what_was_run(repository: Path, run_memdeep: RunMemdeep) -> None:
    out = repository.parent / "out"
    variables = environment(PYTHONHASHSEED="3")
    run_memdeep("run", "-q", "-o", out, "app/prog.py", cwd=repository, env=variables)
    in_meta, in_report = identity_of(out)
    assert in_report == {
        "cwd": str(repository),
        "root": str(repository / "app"),
        "main": "prog.py",
        "commit": git(repository, "rev-parse", "HEAD"),
        "dirty": False,
        "platform": in_meta["platform"],
        "libc": in_meta["libc"],
        "hash_seed": 3,
    }
    page = (out / "report.html").read_text("utf-8")
    assert f"{in_report['commit'][:12]} · " in page


@HAS_GIT
def test_a_redacted_run_tells_neither_its_place_nor_its_commit(
    repository: Path, run_memdeep: RunMemdeep
) -> None:
    out = repository.parent / "out"
    hidden = {"cwd", "root", "commit", "dirty", "is_dirty"}
    run_memdeep("run", "-q", "--redact-args", "-o", out, "app/prog.py", cwd=repository)
    for found in identity_of(out):
        assert {name for name, value in found.items() if value is None} <= hidden | {"libc"}
        assert {found[name] for name in hidden & {*found}} == {None}
    done = run_memdeep("run", "-q", "--force", "-o", out, "app/prog.py", cwd=repository)
    assert done.returncode == 0
    assert identity_of(out)[1]["commit"] is not None
    run_memdeep("report", "--redact-args", "-o", repository.parent / "shown", out)
    shown = read_json(repository.parent / "shown" / "report.json")["identity"]
    assert {shown[name] for name in hidden & {*shown}} == {None}
    assert shown["main"] == "prog.py"


def test_a_program_does_not_wait_for_git(
    tmp_path: Path, run_memdeep: RunMemdeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "prog.py").write_text("import time; print(time.monotonic_ns())")
    asked = tmp_path / "asked"
    # Without another process: the moment when git begins is that of the file.
    put_first_on_path(tmp_path / "bin", f": >{asked}; exec sleep 60", monkeypatch)
    begun_s = time.monotonic()
    done = run_memdeep("run", "-q", "--no-report", "-o", "out", "prog.py")
    assert time.monotonic() - begun_s < 10
    assert done.returncode == 0
    spawned_ns = json.loads((tmp_path / "out" / "meta.json").read_bytes())["spawned_ns"]
    assert int(done.stdout) > spawned_ns
    assert asked.exists()
    assert json.loads((tmp_path / "out" / "meta.json").read_bytes())["identity"]["commit"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_git_has_its_own_session_and_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    stat = tmp_path / "stat"
    put_first_on_path(tmp_path / "bin", f"sleep 0.1; cat /proc/$$/stat >{stat}", monkeypatch)
    revision(tmp_path)
    fields = stat.read_text().rpartition(")")[2].split()
    assert int(fields[3]) != os.getsid(0)
    assert int(fields[16]) == 19
