"""The facts of a run come back as they were written, and damage is refused with a way on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
from factories import COUNTS, meta
from hypothesis import given
from hypothesis import strategies as st

from memdeep.errors import EXIT_BAD_DATA, CaptureError
from memdeep.model import Identity
from memdeep.model.statement import Statement, state
from memdeep.rundir.journal import MAX_TIME_S
from memdeep.rundir.meta import SeenProcess, decode_meta, encode_meta

PATH = Path("runs/one/meta.json")
# A file name that is not UTF-8 reaches Python with surrogates of this range (PEP 383).
FILE_NAMES = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    max_size=30,
)

OVER = state(
    "exit.rss_over",
    span_s=3.0,
    first_bytes=60,
    last_bytes=90,
    limit_bytes=80,
    source=state("limit.outer_cgroup", file="memory.max", name="app"),
    rest_bytes=10,
)


@given(
    command=st.lists(FILE_NAMES, max_size=4).map(tuple),
    name=FILE_NAMES,
    limit=st.none() | COUNTS,
    processes=st.lists(
        st.builds(
            SeenProcess,
            pid=COUNTS,
            parent_pid=st.none() | COUNTS,
            command=st.none() | FILE_NAMES,
            peak_rss_bytes=COUNTS,
            exit=st.none() | st.integers(-64, 255),
            start_s=st.none() | st.floats(0, MAX_TIME_S),
            end_s=st.none() | st.floats(0, MAX_TIME_S),
            peak_pss_bytes=st.none() | COUNTS,
            peak_uss_bytes=st.none() | COUNTS,
            signal=st.none() | st.just("SIGKILL"),
            verdict=st.none() | st.just("oom-killed"),
        ),
        max_size=3,
    ).map(tuple),
)
def test_meta_comes_back(
    command: tuple[str, ...], name: str, limit: int | None, processes: tuple[SeenProcess, ...]
) -> None:
    written = meta(command=command, name=name, warning_bytes=limit, processes=processes)
    assert decode_meta(encode_meta(written), PATH) == written


@given(
    texts=st.tuples(*[st.none() | FILE_NAMES] * 6),
    is_dirty=st.none() | st.booleans(),
    seed=st.none() | COUNTS | st.just("random"),
)
def test_the_identity_of_a_run_comes_back(
    texts: tuple[str | None, ...], is_dirty: bool | None, seed: int | str | None
) -> None:
    names = ("cwd", "root", "main", "commit", "platform", "libc")
    known = Identity(**dict(zip(names, texts, strict=True)), is_dirty=is_dirty, hash_seed=seed)
    written = meta(identity=known)
    assert decode_meta(encode_meta(written), PATH) == written


def test_an_older_run_has_no_identity() -> None:
    fields = json.loads(encode_meta(meta()))
    del fields["identity"]
    assert decode_meta(json.dumps(fields).encode(), PATH).identity is None


def test_what_is_known_at_the_end_of_a_run_comes_back() -> None:
    end = meta(
        critical_bytes=7,
        limit_source=OVER.values["source"],
        duration_s=1.25,
        exit_code=None,
        signal="SIGKILL",
        verdict="oom-killed",
        evidence=(OVER, state("exit.exec", after_s=0.5, command="a \udcff")),
        processes=(SeenProcess(1, None, "python", 10),),
        notes=("The disk was full.",),
        peak_pss_bytes=9,
    )
    read = decode_meta(encode_meta(end), PATH)
    assert (read.signal, read.verdict, read.duration_s) == ("SIGKILL", "oom-killed", 1.25)
    assert (read.name, read.critical_bytes) == ("prog.py", 7)
    assert read == end


def test_meta_of_a_run_that_goes_on_has_no_end() -> None:
    read = decode_meta(encode_meta(meta()), PATH)
    assert (read.duration_s, read.exit_code, read.signal, read.verdict) == (None,) * 4


def test_the_meta_of_an_older_run_tells_less_of_its_processes() -> None:
    fields = json.loads(encode_meta(meta()))
    del fields["peak_pss_bytes"]
    fields["processes"] = [
        {"pid": 1, "parent_pid": None, "command": "a", "peak_rss_bytes": 10, "exit": 0}
    ]
    read = decode_meta(json.dumps(fields).encode(), PATH)
    assert read.processes == (SeenProcess(1, None, "a", 10, 0),)
    assert read.peak_pss_bytes is None


def damaged(**changes: object) -> bytes:
    fields = json.loads(encode_meta(meta()))
    return json.dumps({**fields, **changes}).encode()


def evidence(**fields: object) -> bytes:
    values = fields.get("values")
    if isinstance(values, dict):
        plain = {k: asdict(v) if isinstance(v, Statement) else v for k, v in values.items()}
        fields = {**fields, "values": plain}
    return damaged(evidence=[fields])


NESTED = damaged(evidence=["*"]).replace(
    b'"*"', b'{"key":"exit.rss_over","values":{"source":' * 10_000 + b"1" + b"}}" * 10_000
)


def test_evidence_that_is_whole_is_taken() -> None:
    assert decode_meta(evidence(**asdict(OVER)), PATH).evidence == (OVER,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        encode_meta(meta())[:-20],
        damaged(schema=1),
        damaged(unknown_field=1),
        damaged(processes=[{"pid": 1}]),
        damaged(processes=5),
        damaged(processes=[{**asdict(SeenProcess(1, 0, "a", 9)), "start_s": -1.0}]),
        damaged(processes=[{**asdict(SeenProcess(1, 0, "a", 9)), "peak_pss_bytes": "9"}]),
        damaged(peak_pss_bytes=1.5),
        damaged(verdict="unheard of"),
        damaged(verdict=["completed"]),
        damaged(processes=[{**asdict(SeenProcess(1, 0, "a", 9)), "verdict": "unheard of"}]),
        damaged(identity="here"),
        damaged(identity={"cwd": 1}),
        damaged(identity={"where": "here"}),
        damaged(identity={"is_dirty": "yes"}),
        damaged(command=None),
        damaged(limit_source="memory.max"),
        damaged(limit_source={"key": "limit.other", "values": {}}),
        damaged(evidence=None),
        damaged(evidence=["The program was ended by SIGKILL."]),
        damaged(evidence=[{}]),
        damaged(evidence=[{"key": "exit.by_signal"}]),
        evidence(key="exit.other", values={}),
        evidence(key=[], values={}),
        evidence(key="outcome.killed", values={"duration_s": 1.0, "signal": "SIGKILL"}),
        evidence(key="exit.by_signal", values=None),
        evidence(key="exit.by_signal", values=["signal"]),
        evidence(key="exit.by_signal", values={}),
        evidence(key="exit.by_signal", values={"signal": None}),
        evidence(key="exit.by_signal", values={"signal": 9}),
        evidence(key="exit.by_signal", values={"signal": "SIGKILL", "self": 1}),
        evidence(key="exit.by_signal", values={"signal": "SIGKILL"}, further=1),
        evidence(key="exit.cgroup_counter", values={"before": 0, "after": True}),
        evidence(key="exit.cgroup_counter", values={"before": 0, "after": 1.5}),
        evidence(key="exit.cgroup_counter", values={"before": 0, "after": 2**63}),
        evidence(key="exit.kill_at_ignored", values={"grace_s": math.nan}),
        evidence(key="exit.kill_at_ignored", values={"grace_s": math.inf}),
        evidence(key="exit.kill_at_ignored", values={"grace_s": "5"}),
        evidence(key=OVER.key, values={**OVER.values, "source": "memory.max"}),
        evidence(key=OVER.key, values={**OVER.values, "source": {"key": "limit.memory"}}),
        evidence(key=OVER.key, values={**OVER.values, "source": asdict(OVER)}),
        NESTED,
        b"[" * 100_000,
    ],
)
def test_damaged_meta_is_refused_with_the_path_and_a_way_on(content: bytes) -> None:
    with pytest.raises(CaptureError) as caught:
        decode_meta(content, PATH)
    assert str(PATH) in caught.value.message
    assert str(PATH.with_name("capture.bin")) in caught.value.hint
    assert caught.value.exit_status == EXIT_BAD_DATA


@given(content=st.binary(max_size=200))
def test_no_bytes_crash_the_reader_of_meta(content: bytes) -> None:
    with pytest.raises(CaptureError):
        decode_meta(content, PATH)
