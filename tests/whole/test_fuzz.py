"""Runs damaged at random: the report ends with a sentence or is made, and every promise holds.

The short part of `make fuzz`. What is drawn is the same each time.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from fuzz import decoders, seeds
from fuzz.mutations import mutate_run, mutated, mutated_lines
from fuzz.trial import report_on
from hypothesis import example, given
from hypothesis import strategies as st
from properties import examples

KINDS = ("whole", "killed", "focus", "tracemalloc", *({"holders"} & seeds.RUNS.keys()))
RANDOM = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return seeds.record(tmp_path_factory.mktemp("seeds"), *KINDS)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a run is damaged: a directory with something beside it that must stay."""
    return tmp_path / "place"


def copied(run: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    run_dir = Path(shutil.copytree(run, place / "run"))
    (place / "beside").write_text("kept")
    return run_dir


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_run_passes_all_checks(runs: dict[str, Path], place: Path, kind: str) -> None:
    trial = report_on(copied(runs[kind], place))
    assert trial.status == 0
    assert "damaged" not in trial.said


@examples(share_fixtures=True)
@given(kind=st.sampled_from(KINDS), random=RANDOM)
def test_a_damaged_run_is_reported_or_refused(
    runs: dict[str, Path], place: Path, kind: str, random: Random
) -> None:
    run_dir = copied(runs[kind], place)
    mutate_run(run_dir, list(runs.values()), random)
    report_on(run_dir)


@examples(share_fixtures=True)
@given(random=RANDOM)
def test_a_damaged_capture_is_reported_or_refused(
    runs: dict[str, Path], place: Path, random: Random
) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    capture = place / "capture.bin"
    content = (runs["whole"] / "capture.bin").read_bytes()
    for _ in range(random.randint(1, 3)):
        content = mutated(content, random)
    capture.write_bytes(content)
    report_on(capture)
    assert capture.read_bytes() == content


@examples(300)
@example(random=Random(0))
@given(random=RANDOM)
def test_damaged_text_is_decoded_or_refused(runs: dict[str, Path], random: Random) -> None:
    run = runs[random.choice(KINDS)]
    content = (run / random.choice(("journal.jsonl", "samples", "meta.json"))).read_bytes()
    for _ in range(random.randint(1, 4)):
        content = random.choice((mutated, mutated_lines))(content, random)
    decoders.decode(content)
