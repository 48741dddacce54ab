"""RSS that no heap explains is told from memory that was freed and not returned."""

from __future__ import annotations

from typing import Any

import pytest
from factories import MB, frame, heap, library, phase, tree

from memdeep.analysis.beyond_heap import beyond_heap
from memdeep.model import Finding, FindingKind, Gap, Peak

STACKS, _ = tree([frame("main"), library("read", filename="/lib/site-packages/polars/io.py")])


def found(rss_bytes: int, gap: Gap, **figures: Any) -> list[Finding]:
    return beyond_heap(heap(STACKS), [phase(rss_delta_bytes=rss_bytes, gap=gap, **figures)])


def test_rss_that_no_heap_and_no_file_explains_is_untracked() -> None:
    (finding,) = found(100 * MB, Gap(5 * MB, 94 * MB, 0), delta_bytes=MB)
    assert finding.kind is FindingKind.UNTRACKED
    assert (finding.bytes, finding.share) == (94 * MB, 0.94)
    assert finding.culprit is None
    assert finding.evidence == {
        "rss_bytes": 100 * MB,
        "heap_bytes": MB,
        "file_bytes": 5 * MB,
        "slack_bytes": 94 * MB,
        "libraries": "polars",
    }


@pytest.mark.parametrize(
    ("rss_bytes", "gap"),
    [
        (15 * MB, Gap(0, 15 * MB, 0)),  # the tracker alone may be as large
        (100 * MB, Gap(80 * MB, 20 * MB, 0)),  # mostly files
        (100 * MB, Gap(0, 30 * MB, 0)),  # mostly heap
        (100 * MB, Gap(None, 90 * MB, 0)),  # files are not told apart
        (-100 * MB, Gap(0, 50 * MB, 0)),
    ],
)
def test_anything_less_is_no_finding(rss_bytes: int, gap: Gap) -> None:
    assert found(rss_bytes, gap) == []


def test_a_heap_that_shrinks_without_the_rss_is_held() -> None:
    (finding,) = found(-10 * MB, Gap(0, 90 * MB, 0), delta_bytes=-100 * MB)
    assert finding.kind is FindingKind.HELD
    assert (finding.bytes, finding.share) == (90 * MB, 0.9)


def test_what_was_there_at_the_peak_only_may_be_held_as_well() -> None:
    (finding,) = found(80 * MB, Gap(0, 80 * MB, 0), peak=Peak(100 * MB, 1.0, None))
    assert finding.kind is FindingKind.HELD
    assert finding.bytes == 80 * MB


def test_only_innermost_phases_are_asked() -> None:
    gap = Gap(0, 94 * MB, 0)
    outer = phase("outer", rss_delta_bytes=100 * MB, gap=gap)
    inner = phase("inner", rss_delta_bytes=100 * MB, gap=gap, depth=1, parent=0)
    assert [item.phase for item in beyond_heap(heap(STACKS), [outer, inner])] == [1]
