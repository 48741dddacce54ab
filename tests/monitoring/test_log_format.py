"""The lines of a monitor's log, to the character, and when the critical threshold is near."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import TIMEOUT_S, environment

from memdeep.monitoring.log_format import (
    BYTES_PER_MB,
    MAX_TEXT,
    LogFormat,
    Thresholds,
    begin_label,
    change,
    end_label,
    one_line,
    size,
)

WHEN = datetime(2025, 11, 20, 10, 30, 48)


def megabytes(number: float) -> int:
    return round(number * BYTES_PER_MB)


def log_format(lang: str = "zh", start_mb: float | None = 60.11) -> LogFormat:
    start_bytes = None if start_mb is None else megabytes(start_mb)
    return LogFormat(start_bytes, Thresholds(800, 950), lang)


def test_the_lines_are_those_of_the_example() -> None:
    lines = log_format()
    assert lines.lines("加载config_BEFORE", megabytes(515.89), None, WHEN) == [
        "[2025-11-20 10:30:48] [INFO] [加载config_BEFORE] RSS=515.89MB (Δ+455.78MB, +455.78MB)"
    ]
    note = "config大小估计~512KB"
    assert lines.lines("加载config_AFTER", megabytes(845.23), note, WHEN) == [
        "[2025-11-20 10:30:48] [WARNING] [加载config_AFTER] RSS=845.23MB "
        "(Δ+785.12MB, +329.34MB) config大小估计~512KB",
        "[2025-11-20 10:30:48] [CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=845.23MB (阈值=950.00MB)",
    ]
    assert lines.background_lines(megabytes(980.45), WHEN.replace(second=49)) == [
        "[2025-11-20 10:30:49] [后台监控] RSS=980.45MB (Δ+920.34MB)"
    ]
    assert lines.lines("end", megabytes(980.45), "", WHEN) == [
        "[2025-11-20 10:30:48] [CRITICAL] [end] RSS=980.45MB (Δ+920.34MB, +135.22MB)"
    ]


def test_the_lines_in_english() -> None:
    lines = log_format("en")
    assert lines.background_lines(megabytes(845.23), WHEN) == [
        "[2025-11-20 10:30:48] [background] RSS=845.23MB (Δ+785.12MB)",
        "[2025-11-20 10:30:48] [CRITICAL] ⚠️ Memory is near the critical threshold! "
        "RSS=845.23MB (threshold=950.00MB)",
    ]
    assert log_format("en").lines("x", megabytes(950), None, WHEN)[1] == (
        "[2025-11-20 10:30:48] [CRITICAL] ⚠️ Memory has reached the critical threshold! "
        "RSS=950.00MB (threshold=950.00MB)"
    )


def is_told(lines: LogFormat, rss_mb: float) -> bool:
    return len(lines.lines("x", megabytes(rss_mb), None, WHEN)) == 2


def test_nearness_is_told_once_per_approach() -> None:
    lines = log_format()
    told = [is_told(lines, rss) for rss in (807, 808, 900, 960, 808, 807, 807.6, 100, 2000)]
    assert told == [False, True, False, False, False, False, True, False, True]


def test_the_background_and_checkpoints_share_one_approach() -> None:
    lines = log_format()
    assert len(lines.background_lines(megabytes(900), WHEN)) == 2
    assert not is_told(lines, 910)
    assert lines.background_lines(megabytes(100), WHEN) == []
    assert is_told(lines, 910)


def test_nearness_begins_between_the_thresholds() -> None:
    assert Thresholds(900, 1000).near_bytes == megabytes(900)
    assert Thresholds(800, 1000).near_bytes == megabytes(850)
    assert Thresholds(None, 1000).near_bytes == megabytes(850)
    assert Thresholds(2000, 1000).near_bytes == megabytes(1000)
    assert Thresholds(800, None).near_bytes is None


def test_a_level_begins_at_its_threshold() -> None:
    thresholds = Thresholds(800, 950)
    assert thresholds.level(megabytes(800) - 1) == "INFO"
    assert thresholds.level(megabytes(800)) == "WARNING"
    assert thresholds.level(megabytes(950) - 1) == "WARNING"
    assert thresholds.level(megabytes(950)) == "CRITICAL"
    assert thresholds.level(None) == "INFO"
    assert Thresholds(None, None).level(10**15) == "INFO"


def test_a_size_that_is_not_known_is_a_question_mark() -> None:
    lines = log_format(start_mb=None)
    assert lines.lines("a", None, None, WHEN) == ["[2025-11-20 10:30:48] [INFO] [a] RSS=? (Δ?, ?)"]
    assert lines.background_lines(None, WHEN) == []
    assert lines.lines("b", megabytes(10), None, WHEN)[0].endswith("(Δ+0.00MB, +0.00MB)")
    assert lines.lines("c", None, None, WHEN)[0].endswith("RSS=? (Δ?, ?)")
    assert lines.lines("d", megabytes(12), None, WHEN)[0].endswith("(Δ+2.00MB, +2.00MB)")


def test_sizes_have_two_places_and_a_sign_where_they_change() -> None:
    assert size(0) == "0.00MB"
    assert size(1024**4) == "1048576.00MB"
    assert change(-4096) == "+0.00MB"
    assert change(megabytes(-1.5)) == "-1.50MB"
    assert (begin_label("加载"), end_label("加载")) == ("加载_START", "加载_END")


@pytest.mark.parametrize("text", ["加载config", "a b", "", "🙂", "naïve"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_text_that_could_do_harm_is_made_harmless() -> None:
    assert one_line("a\nb\r\x1b[31m\x00\x7f") == "a␊b␍␛[31m␀␡"
    assert one_line("\ud800x\udcff") == "�x�"
    assert one_line("\u2028\x85\u202e") == "␤��"
    assert one_line("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert one_line("x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + "…"
    assert one_line(7) == "7"


@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_any_label_and_note_is_one_encodable_line(label: str, note: str) -> None:
    (line,) = log_format().lines(label, megabytes(100), note, WHEN)
    assert len(line.splitlines()) == 1
    line.encode("utf-8")


def test_it_needs_next_to_nothing() -> None:
    code = (
        "import sys, memdeep.monitoring.log_format; "
        "print(sorted(name for name in sys.modules if name.startswith('memdeep')))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment(), capture_output=True, timeout=TIMEOUT_S, check=True
    )
    face = ["memdeep.record", "memdeep.record.api"]
    monitoring = ["memdeep.monitoring", "memdeep.monitoring.log_format"]
    expected = sorted(["memdeep", *face, *monitoring, "memdeep.text", "memdeep.text.safe"])
    assert done.stdout.decode().strip() == str(expected)
