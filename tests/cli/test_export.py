"""`memdeep export`: what is written where, and what it says where it cannot."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from running import PROGRAMS, RunMemdeep, complaint, environment, memdeep_command, tree

ZH = environment(LC_ALL="zh_CN.UTF-8")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one run in memdeep-runs."""
    place = tmp_path_factory.mktemp("exports")
    words = ("run", "-q", "-o", "memdeep-runs/job", PROGRAMS / "grows.py")
    subprocess.run(memdeep_command(*words), cwd=place, env=environment(), check=True)
    return place


def test_the_newest_run_is_exported_into_its_directory(
    recorded: Path, run_memdeep: RunMemdeep
) -> None:
    done = run_memdeep("export", "--format", "pprof", cwd=recorded)
    assert (done.returncode, done.stdout) == (0, b"")
    newest, written, opened = done.stderr.decode().splitlines()
    assert newest == "The newest run: memdeep-runs/job"
    assert written.startswith("Written: memdeep-runs/job/export.pb.gz (")
    assert opened == "Open it: pprof -http=: memdeep-runs/job/export.pb.gz"
    assert (recorded / "memdeep-runs" / "job" / "export.pb.gz").stat().st_size > 0


def test_what_was_exported_is_removed_with_the_run(
    recorded: Path, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    copy = tmp_path / "memdeep-runs" / "copy"
    copy.parent.mkdir()
    copy.symlink_to(recorded / "memdeep-runs" / "job")
    real = tmp_path / "real"
    subprocess.run(["cp", "-rL", str(copy), str(real)], check=True)
    assert run_memdeep("export", real, "-f", "csv", "-q").stderr == b""
    assert (real / "export.csv").exists()
    assert run_memdeep("runs", "--rm", real).returncode == 0
    assert not real.exists()


def test_the_name_of_the_file_tells_the_format_and_if_it_is_packed(
    recorded: Path, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    run_dir = recorded / "memdeep-runs" / "job"
    for name in ("a b.speedscope.json", "x.speedscope.json.gz", "x.firefox.json.gz"):
        done = run_memdeep("export", run_dir, "-o", name, "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    whole = (tmp_path / "a b.speedscope.json").read_bytes()
    assert gzip.decompress((tmp_path / "x.speedscope.json.gz").read_bytes()) == whole
    assert json.loads(gzip.decompress((tmp_path / "x.firefox.json.gz").read_bytes()))["threads"]
    said = run_memdeep("export", run_dir, "-o", "a b.collapsed").stderr.decode()
    assert said.splitlines()[1].endswith("--countname=bytes 'a b.collapsed' > flame.svg")
    chinese = run_memdeep("export", run_dir, "-o", "x.pprof", env=ZH).stderr.decode()
    assert chinese.startswith("已写入：x.pprof（")


def test_a_text_goes_to_stdout(recorded: Path, run_memdeep: RunMemdeep) -> None:
    run_dir = recorded / "memdeep-runs" / "job"
    words = ("export", run_dir, "--format", "collapsed", "-o", "-", "--phase", "repeat")
    done = run_memdeep(*words, "--metric", "peak")
    assert (done.returncode, done.stderr) == (0, b"")
    assert {line.partition(b";")[0] for line in done.stdout.splitlines()} == {b"repeat"}
    packed = run_memdeep("export", run_dir, "-f", "pprof", "-o", "-")
    assert packed.stdout[:2] == b"\x1f\x8b"


def test_a_terminal_gets_no_binary(recorded: Path) -> None:
    command = memdeep_command("export", "memdeep-runs/job", "-f", "parquet", "-o", "-")
    own, terminal = pty.openpty()
    try:
        done = subprocess.run(
            command, cwd=recorded, env=environment(), stdout=terminal, stderr=subprocess.PIPE
        )
    finally:
        os.close(own)
        os.close(terminal)
    assert done.returncode == 2
    assert done.stderr.startswith(b"memdeep: parquet is not a text that a terminal can show.")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ((), 2, "There is no format to export in."),
        (("-o", "-"), 2, "There is no format to export in."),
        (("-o", "x.json"), 2, "The name x.json tells no format."),
        (("-f", "csv", "--phase", "repaet"), 2, "No phase is called repaet."),
        (("-f", "csv", "-o", "no/such/x.csv"), 125, "Cannot write no/such/x.csv"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    recorded: Path,
    run_memdeep: RunMemdeep,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    sentence: str,
) -> None:
    before = tree(tmp_path)
    done = run_memdeep("export", recorded / "memdeep-runs" / "job", *words)
    said, hint = complaint(done)
    assert done.returncode == status
    assert said.startswith(sentence)
    assert hint
    assert tree(tmp_path) == before


def test_a_run_that_is_not_there_and_a_format_that_is_not_there(run_memdeep: RunMemdeep) -> None:
    done = run_memdeep("export", "nowhere", "-f", "csv")
    assert done.returncode == 66
    done = run_memdeep("export", "nowhere", "-f", "xml")
    assert done.returncode == 2
    assert b"invalid choice: 'xml'" in done.stderr


def test_a_bare_capture_is_exported_beside_it(
    recorded: Path, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    capture = tmp_path / "job.bin"
    capture.write_bytes((recorded / "memdeep-runs" / "job" / "capture.bin").read_bytes())
    done = run_memdeep("export", capture, "-f", "collapsed")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "job.bin.export.collapsed").stat().st_size > 0
