"""Tracing only the phases under suspicion: what is known of them, and what is not of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, complaint, read_json

PROGRAM = """\
from memdeep import checkpoint, phase
BLOCK = 300_000  # a bytearray of n bytes allocates n + 1
kept = []
def grow(count):
    kept.append([bytearray(BLOCK - 1) for _ in range(count)])
grow(3)
checkpoint("加载config_BEFORE")
grow(10)
checkpoint("加载config_AFTER")
grow(4)
for _ in range(3):
    with phase("loop"):
        grow(5)
        with phase("inner"):
            grow(2)
    grow(1)
checkpoint("point")
grow(6)
checkpoint("after")
grow(7)
"""
BLOCK = 300_000
NEAR = 24_000  # what else a phase may allocate, of memdeep's and the interpreter's own

Json = dict[str, Any]


@pytest.fixture
def focused(run_memdeep: RunMemdeep, tmp_path: Path) -> Any:
    """Runs the program above with options, and gives report.json."""
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")

    def run(*options: str) -> Json:
        words = ("run", "--no-native", "-o", "run", "--force", *options, "program.py")
        done = run_memdeep(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return read_json(tmp_path / "run" / "report.json")

    return run


def growth(report: Json) -> dict[str, int | None]:
    """Heap growth by phase, in whole blocks; None where it is not known."""
    found = {}
    for phase in report["phases"]:
        delta = phase["heap_delta_bytes"]
        if delta is not None:
            assert abs(delta - round(delta / BLOCK) * BLOCK) < NEAR
            delta = round(delta / BLOCK)
        found[phase["name"]] = delta
    return found


def test_a_pair_of_labels_is_traced_and_nothing_else(focused: Any) -> None:
    report = focused("--focus", "加载config")
    known = {name: blocks for name, blocks in growth(report).items() if blocks is not None}
    assert known == {"加载config": 10}
    assert report["findings"][0]["culprit"]["lineno"] == 5
    assert report["findings"][0]["bytes"] == pytest.approx(10 * BLOCK, abs=NEAR)
    assert all(phase["rss_delta_bytes"] is not None for phase in report["phases"])


def test_a_phase_that_repeats_is_traced_each_time(focused: Any, tmp_path: Path) -> None:
    report = focused("--focus", "loop")
    assert growth(report)["loop"] == 3 * 7
    assert growth(report)["inner"] == 3 * 2
    assert growth(report)["加载config"] is None
    loop = next(phase for phase in report["phases"] if phase["name"] == "loop")
    assert loop["repeats"] == 3
    assert loop["peak_heap_bytes"] == pytest.approx(7 * BLOCK, abs=NEAR)
    assert len(list((tmp_path / "run").glob("capture*.bin"))) == 3


def test_an_inner_phase_alone_leaves_the_outer_one_unknown(focused: Any) -> None:
    found = growth(focused("--focus", "inner"))
    assert (found["inner"], found["loop"]) == (6, None)


def test_patterns_and_several_of_them(focused: Any) -> None:
    found = growth(focused("--focus", "加载*", "--focus", "inn?r"))
    assert (found["加载config"], found["inner"], found["loop"]) == (10, 6, None)


def test_a_plain_checkpoint_is_traced_to_the_next(focused: Any) -> None:
    report = focused("--focus", "point")
    assert growth(report)["point → after"] == 6
    assert growth(report)["after → (end)"] is None


def test_from_a_label_on(focused: Any) -> None:
    found = growth(focused("--start-at", "point"))
    assert (found["point → after"], found["after → (end)"]) == (6, 7)
    assert found["loop"] is None


def test_up_to_a_label(focused: Any) -> None:
    found = growth(focused("--stop-at", "point"))
    assert (found["loop"], found["加载config"]) == (21, 10)
    assert found["point → after"] is None
    assert found["(start) → 加载config_BEFORE"] == 3


def test_from_a_label_to_another(focused: Any) -> None:
    found = growth(focused("--start-at", "loop", "--stop-at", "point"))
    assert (found["loop"], found["加载config"], found["point → after"]) == (21, None, None)


def test_a_label_that_never_comes_leaves_the_heap_unknown(focused: Any, tmp_path: Path) -> None:
    report = focused("--focus", "no such phase")
    assert set(growth(report).values()) == {None}
    assert (report["findings"], report["peak_heap_bytes"]) == ([], None)
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "--focus no such phase" in page


def test_a_program_killed_in_focus_keeps_what_was_traced(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    code = (
        "import os, signal\nfrom memdeep import phase\nkept = []\n"
        "with phase('load'):\n"
        "    kept = [bytearray(300_000) for _ in range(20)]\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = run_memdeep("run", "-o", "run", "--focus", "load", "-c", code, cwd=tmp_path)
    assert done.returncode == 137
    report = read_json(tmp_path / "run" / "report.json")
    (load,) = [phase for phase in report["phases"] if phase["name"] == "load"]
    assert not load["complete"]
    assert load["culprits"][0]["bytes"] >= 19 * 300_000


@pytest.mark.parametrize("backend", ["tracemalloc", "rss"])
def test_other_backends_cannot_be_limited_and_say_so(
    run_memdeep: RunMemdeep, tmp_path: Path, backend: str
) -> None:
    words = ("run", "-o", "run", "--backend", backend, "--focus", "load", "-c", "pass")
    done = run_memdeep(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint(done)[0] == f"--focus load does not go with --backend {backend}."
    assert not (tmp_path / "run").exists()


NEVER = "no phase or label of that name came; there were"


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        (
            ("--focus", "lop*"),
            [f"--focus lop*: {NEVER} 加载config, loop, inner and 2 more; did you mean loop?"],
        ),
        (
            ("--focus", "inner", "--stop-at", "POINTS"),
            [f"--stop-at POINTS: {NEVER} 加载config, loop, inner and 2 more; did you mean point?"],
        ),
        (
            ("--start-at", "zzz", "--focus", "加载conf"),
            [
                f"--focus 加载conf: {NEVER} 加载config, loop, inner and 2 more; "
                "did you mean 加载config?",
                f"--start-at zzz: {NEVER} 加载config, loop, inner and 2 more",
            ],
        ),
        (("--focus", "加载config", "--start-at", "loop", "--stop-at", "after"), []),
    ],
)
def test_what_never_comes_is_named_with_what_came(
    run_memdeep: RunMemdeep, tmp_path: Path, options: tuple[str, ...], sentences: list[str]
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    words = ("run", "--no-native", "-o", "run", *options, "program.py")
    done = run_memdeep(*words, cwd=tmp_path)
    assert done.returncode == 0
    report = read_json(tmp_path / "run" / "report.json")
    assert report["problems"] == sentences
    said = [line for line in done.stderr.decode().splitlines() if line.startswith("memdeep: --")]
    assert said == (["memdeep: " + "; ".join(sentences)] if sentences else [])


def test_program_without_labels_is_told_so_and_hostile_ones_stay_text(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    words = ("run", "--no-report", "--force", "-o", "run", "--focus", "load", "-c")
    done = run_memdeep(*words, "pass", cwd=tmp_path)
    assert b"--focus load: no phase or label of that name came; the program set none" in done.stderr
    code = "from memdeep import checkpoint\nfor n in range(9): checkpoint('\\x1b[31m' + 'x' * 999)"
    done = run_memdeep(*words, code, cwd=tmp_path)
    assert "there were �[31m" + "x" * 55 + "…\n" in done.stderr.decode()


def test_label_without_text_does_not_reach_the_program(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    code = (
        "from memdeep import checkpoint, phase\n"
        "class Label:\n    def __str__(self): raise ValueError('mine')\n"
        "checkpoint(Label())\nwith phase(Label()): print('in')\n"
    )
    words = ("run", "--no-report", "-o", "run", "--focus", "load", "-c", code)
    done = run_memdeep(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"in\n")
    assert done.stderr.count(b"could not be recorded: mine") == 1
