"""What processes of other hosts record arrives whole, and what has come once stays."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.integrations import gathering
from memdeep.integrations.gathering import Answer, Gathered, Piece, place_of, read_pieces
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.workers import Worker, decode_worker, encode_worker

HEADER = 8
RECORDS = st.lists(st.binary(min_size=1, max_size=20).map(lambda one: one + b"."), max_size=6)


def host(path: Path, *children: str) -> RunDirectory:
    path.mkdir()
    for child in children:
        (path / "children" / child).mkdir(parents=True)
    (path / "births.jsonl").touch()
    return RunDirectory(path)


def pull(base: RunDirectory, gathered: Gathered, name: str = "a", *, is_last: bool = False) -> None:
    has_more = True
    while has_more:
        answer = read_pieces(base.path, gathered.known(name), is_last=is_last)
        gathered.take(name, answer)
        has_more = answer.has_more


@given(rounds=st.lists(RECORDS, max_size=4), spare=st.integers(0, 40), most=st.integers(HEADER, 50))
@examples(40)
def test_a_capture_arrives_as_it_is_though_it_grows_ahead(
    rounds: list[list[bytes]], spare: int, most: int
) -> None:
    with (
        TemporaryDirectory() as place,
        patch.multiple(gathering, MOST_BYTES=most, OVERLAP=4, HEAD=HEADER),
    ):
        there, here = host(Path(place, "there"), "7"), host(Path(place, "here"))
        gathered = Gathered(here)
        capture, journal = there.child("7").capture(), there.child("7").journal
        written = b"\1" * HEADER
        for records in rounds:
            written += b"".join(records)
            capture.write_bytes(written + bytes(spare))
            with open(journal, "ab") as file:
                file.writelines(records)
            pull(there, gathered)
            assert here.child("7").capture().read_bytes() == written
        capture.write_bytes(b"\2" * HEADER + written[HEADER:] + bytes(1))  # it is closed
        pull(there, gathered, is_last=True)
        assert here.child("7").capture().read_bytes() == capture.read_bytes()
        if any(rounds):
            assert here.child("7").journal.read_bytes() == journal.read_bytes()
        assert gathered.sent_bytes > 0


def test_processes_of_two_hosts_that_have_one_number_stay_apart(tmp_path: Path) -> None:
    here, gathered = host(tmp_path / "here"), Gathered(RunDirectory(tmp_path / "here"))
    for name, shift_ns in (("a", 0), ("b", 500)):
        there = host(tmp_path / name, "7")
        worker = Worker(7, name, "tcp://there", 2)
        there.child("7").worker.write_bytes(encode_worker(worker))
        there.child("7").journal.write_text(
            f'{{"k":"S","mono":1000,"pid":7,"at":"{name}"}}\nrest\n'
        )
        born = '{"k":"born","pid":7,"pp":6,"up":[[7,1],[6,2]],"dir":"7","t":1000}'
        there.births.write_text(f'{born}\n{{"k":"torn')
        gathered.set_clock(name, shift_ns)
        pull(there, gathered, name)
        pull(there, gathered, name, is_last=True)
    gathered.finish()
    lines = [json.loads(line) for line in here.births.read_text().splitlines()]
    assert [(line["dir"], line["t"]) for line in lines] == [("7", 1000), ("7-2", 1500)]
    assert [line["pid"] for line in lines] == [10_000_007, 20_000_007]
    assert [(line["pp"], line["up"]) for line in lines][1] == (
        20_000_006,
        [[20_000_007, 1], [20_000_006, 2]],
    )
    workers = [decode_worker(here.child(name).worker.read_bytes()) for name in ("7", "7-2")]
    assert [(one.pid, one.name) for one in workers if one] == [(10_000_007, "a"), (20_000_007, "b")]
    first, second = (here.child(name).journal.read_text() for name in ("7", "7-2"))
    assert json.loads(first.splitlines()[0]) == {
        "k": "S",
        "mono": 1000,
        "pid": 10_000_007,
        "at": "a",
    }
    assert json.loads(second.splitlines()[0]) == {
        "k": "S",
        "mono": 1500,
        "pid": 20_000_007,
        "at": "b",
    }
    assert second.endswith("\nrest\n")


@pytest.mark.parametrize(
    "path", ["children/../x", "children/7/../x", "children/7", "other/7/x", "children/7/.x", "x"]
)
def test_no_piece_leads_out_of_the_run(tmp_path: Path, path: str) -> None:
    here = host(tmp_path / "here")
    piece = Piece(path, 0, 1, zlib.compress(b"x"))
    with pytest.raises(ValueError):
        Gathered(here).take("a", Answer((piece,), False, 0))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content", [b"no zlib", zlib.compress(b"x" * 1000)])
def test_a_damaged_piece_is_refused(tmp_path: Path, content: bytes) -> None:
    piece = Piece("children/7/journal.jsonl", 0, 1, content)
    with pytest.raises(ValueError):
        Gathered(host(tmp_path / "here")).take("a", Answer((piece,), False, 0))


def test_a_file_has_one_place_by_whatever_name(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("one")
    assert place_of(str(tmp_path / "one")) == place_of(str(tmp_path / "link"))
    assert place_of(str(tmp_path / "one")) != place_of(str(tmp_path / "other"))
