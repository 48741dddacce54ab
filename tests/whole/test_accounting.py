"""The figures of a report add up, and agree with what the kernel says of the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import PROGRAMS, RunMemdeep, environment, memdeep_command, read_json

MB = 1 << 20
NOISE = 1 * MB  # the program reads the kernel's figures itself, which takes some memory

# Of each phase, the parts of its growth that follow from the program's source.
SOURCE: dict[str, dict[str, int]] = {
    "heap": {"heap": 40_000_000},
    "passing": {},
    "file": {"file": 30 * MB},
    "shared": {"shared": 25 * MB},
    "anonymous": {"heap": 35 * MB},
    "reserved": {"heap": 200 * MB, "untouched": -200 * MB},
    "touched": {"heap": 50 * MB},
    "replaced": {"heap": 22 * MB},
    "free": {"heap": -40_000_000},
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's figures are Linux's")


class Accounts:
    """One run of `known_parts.py`: its report, and what it read of the kernel after each phase."""

    def __init__(self, report: dict[str, Any], kernel: dict[str, dict[str, int]]) -> None:
        self.kernel = kernel
        self.phases = [phase for phase in report["phases"] if phase["name"] in kernel]
        self.before = dict(zip(list(kernel)[1:], list(kernel), strict=False))

    def change(self, phase: str, figure: str) -> int:
        """How much one of the kernel's figures rose in a phase."""
        return self.kernel[phase][figure] - self.kernel[self.before[phase]][figure]

    def phase(self, name: str) -> dict[str, Any]:
        return next(phase for phase in self.phases if phase["name"] == name)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    work = tmp_path_factory.mktemp("accounts")
    words = ("run", "--quiet", "--memory-limit", "2G", "-o", "run", PROGRAMS / "known_parts.py")
    told = subprocess.run(
        memdeep_command(*words), cwd=work, env=environment(), check=True, stdout=subprocess.PIPE
    )
    return Accounts(read_json(work / "run" / "report.json"), json.loads(told.stdout))


def test_every_phase_is_there(accounts: Accounts) -> None:
    assert [phase["name"] for phase in accounts.phases] == list(accounts.kernel)[1:]


def test_the_heap_adds_up_to_the_byte(accounts: Accounts) -> None:
    for phase in accounts.phases:
        assert phase["heap_delta_bytes"] == phase["retained_bytes"] - phase["released_bytes"]
        assert phase["heap_delta_bytes"] == phase["allocated_bytes"] - phase["freed_bytes"]
        assert phase["allocated_bytes"] == phase["retained_bytes"] + phase["churn_bytes"]
        assert phase["kept_bytes"] <= phase["retained_bytes"]
        assert phase["repeats"] > 1 or phase["kept_bytes"] == phase["retained_bytes"]
        assert phase["peak_heap_bytes"] >= phase["heap_start_bytes"]
        assert phase["peak_heap_bytes"] >= phase["heap_end_bytes"]
        assert phase["rise_bytes"] == phase["peak_heap_bytes"] - phase["heap_start_bytes"]


def test_lines_add_up_to_what_they_are_lines_of(accounts: Accounts) -> None:
    for phase in accounts.phases:
        for lines, total in (("culprits", "kept_bytes"), ("peak_culprits", "peak_heap_bytes")):
            listed = sum(culprit["bytes"] for culprit in phase[lines])
            assert listed <= phase[total]
            # The recording's own memory is in no list; an arena that it opened is 1 MB.
            assert not phase[lines] or listed > phase[total] - 3 * NOISE
            for culprit in phase[lines]:
                share = culprit["bytes"] / phase[total]
                assert culprit["share"] == pytest.approx(share, abs=1e-6)


def test_the_rss_is_the_kernels(accounts: Accounts) -> None:
    for phase in accounts.phases:
        kernel = accounts.kernel[phase["name"]]
        assert phase["rss_end_bytes"] == pytest.approx(kernel["Rss"], abs=NOISE)
        assert phase["rss_delta_bytes"] == pytest.approx(
            accounts.change(phase["name"], "Rss"), abs=NOISE
        )


def test_what_a_phase_did_is_what_its_source_says(accounts: Accounts) -> None:
    grown = {phase["name"]: phase["rss_delta_bytes"] for phase in accounts.phases}
    assert grown["heap"] == pytest.approx(40_000_000, abs=NOISE)
    assert grown["passing"] == pytest.approx(0, abs=NOISE)
    assert grown["file"] == pytest.approx(30 * MB, abs=NOISE)
    assert grown["shared"] == pytest.approx(25 * MB, abs=NOISE)
    assert grown["anonymous"] == pytest.approx(35 * MB, abs=NOISE)
    assert grown["reserved"] == pytest.approx(0, abs=NOISE)
    assert grown["touched"] == pytest.approx(50 * MB, abs=NOISE)
    replaced = accounts.phase("replaced")
    assert replaced["repeats"] == 3
    assert replaced["kept_bytes"] == pytest.approx(22 * MB, abs=NOISE)
    assert replaced["retained_bytes"] == pytest.approx(66 * MB, abs=NOISE)


def test_the_parts_add_up_to_the_growth_of_the_rss(accounts: Accounts) -> None:
    for phase in accounts.phases:
        known = [size for size in phase["parts"].values() if size is not None]
        assert not known or sum(known) == phase["rss_delta_bytes"]


def test_the_parts_are_the_kernels_and_those_of_the_source(accounts: Accounts) -> None:
    measured = [phase for phase in accounts.phases if phase["parts"]["untouched"] is not None]
    for phase in measured:
        name, parts = phase["name"], phase["parts"]
        close = max(NOISE, 0.02 * abs(phase["rss_delta_bytes"]))
        # The kernel takes what `mmap.mmap(-1, …)` maps for shared; it goes with the process.
        anonymous = accounts.change(name, "Anonymous") + (35 * MB if name == "anonymous" else 0)
        mapped = accounts.change(name, "Rss") - anonymous
        assert parts["untouched"] <= 0
        assert parts["file"] + parts["shared"] == pytest.approx(mapped, abs=close), name
        assert parts["heap"] + parts["untouched"] + parts["allocator"] == pytest.approx(
            anonymous, abs=close
        ), name
        source = {"heap": 0, "untouched": 0, "file": 0, "shared": 0} | SOURCE[name]
        for part, size in source.items():
            assert parts[part] == pytest.approx(size, abs=NOISE), (name, part)


def test_what_is_explained_is_never_more_than_all(accounts: Accounts) -> None:
    for phase in accounts.phases:
        for ratio in (phase["explained_ratio"], phase["named_ratio"]):
            assert ratio is None or ratio <= 1
            assert ratio is None or phase["rss_delta_bytes"] >= MB


QUIET = """\
import mmap

from memdeep import checkpoint, phase

for _ in range(1000):
    checkpoint("point")
for number in range(1000):
    with phase("step"):
        if number == 500:  # for this the mappings are read at the end of the phase
            kept = mmap.mmap(-1, 8 << 20)
"""


@pytest.mark.parametrize("native", ["--native", "--no-native"])
def test_what_a_checkpoint_takes_for_itself_is_not_the_programs(
    native: str, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    (tmp_path / "quiet.py").write_text(QUIET)
    out = tmp_path / "run"
    run_memdeep("run", native, "-o", str(out), str(tmp_path / "quiet.py"))
    phases = {phase["name"]: phase for phase in read_json(out / "report.json")["phases"]}
    for name, mapped in (("point → point", 0), ("step", 8 * MB)):
        phase = phases[name]
        # A byte of a lock, once a repeat, and what is made once.
        assert 0 <= phase["heap_delta_bytes"] - mapped <= 4000
        assert 0 <= phase["allocated_bytes"] - mapped <= 4000
        assert phase["churn_bytes"] == 0
        assert [one["bytes"] for one in phase["culprits"]] == [mapped] * bool(mapped)


def test_a_cgroup_of_its_own_moves_with_the_anonymous_memory(accounts: Accounts) -> None:
    figures = [name for name in ("group anon", "group rss") if name in accounts.kernel["begin"]]
    if not figures:
        pytest.skip("the program has no cgroup to itself here")
    for name in list(accounts.kernel)[1:]:
        own, group = accounts.change(name, "Anonymous"), accounts.change(name, figures[0])
        assert group == pytest.approx(own, abs=NOISE), name
