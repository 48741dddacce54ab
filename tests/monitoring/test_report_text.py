"""What a monitor remembers, and its text report to the character."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from memdeep.monitoring import history as history_module
from memdeep.monitoring.family import Member
from memdeep.monitoring.history import History, Reading
from memdeep.monitoring.log_format import BYTES_PER_MB, Thresholds
from memdeep.monitoring.report_text import WORDS, Facts, render, width

START = datetime(2025, 11, 20, 10, 30, 45)
THRESHOLDS = Thresholds(800, 950)


def reading(label: str | None, rss_mb: int | None, second: int = 0) -> Reading:
    rss_bytes = None if rss_mb is None else rss_mb * BYTES_PER_MB
    return Reading(label, rss_bytes, START + timedelta(seconds=second))


def history(*checkpoints: tuple[str, int | None], start_mb: int | None = 60) -> History:
    made = History(reading(None, start_mb), THRESHOLDS.level(reading(None, start_mb).rss_bytes))
    for second, (label, rss_mb) in enumerate(checkpoints, 1):
        item = reading(label, rss_mb, second)
        made.add_checkpoint(item, THRESHOLDS.level(item.rss_bytes))
    return made


def facts(made: History, now_mb: int | None = 900, highest_mb: int | None = 985) -> Facts:
    highest_bytes = None if highest_mb is None else highest_mb * BYTES_PER_MB
    return Facts("deepseek_backtest", made, THRESHOLDS, reading(None, now_mb, 10), highest_bytes)


CHINESE = """\
================================================================================
内存监控报告: deepseek_backtest
================================================================================
开始      RSS=60.00MB                          2025-11-20 10:30:45
现在      RSS=900.00MB                         2025-11-20 10:30:55
峰值      RSS=980.00MB                         2025-11-20 10:30:49 后台监控
进程最高  RSS=985.00MB                         (内核统计, 含监控开始之前)
总增长    +840.00MB
阈值      WARNING 800.00MB, CRITICAL 950.00MB

检查点 (按顺序, 共 3 个)
--------------------------------------------------------------------------------
  #  时间           RSS     距开始   距上一个  级别     标签
  1  10:30:46  500.00MB  +440.00MB  +440.00MB  INFO     加载config_BEFORE
  2  10:30:47  845.00MB  +785.00MB  +345.00MB  WARNING  加载config_AFTER
  3  10:30:48  840.00MB  +780.00MB    -5.00MB  WARNING  end

增长最大的 10 处
--------------------------------------------------------------------------------
  1.  +440.00MB  开始 → 加载config_BEFORE
  2.  +345.00MB  加载config_BEFORE → 加载config_AFTER

阈值跨越 (共 2 次)
--------------------------------------------------------------------------------
  2025-11-20 10:30:47  INFO → WARNING      RSS=845.00MB  加载config_AFTER
  2025-11-20 10:30:49  WARNING → CRITICAL  RSS=980.00MB  后台监控

阅读指南
--------------------------------------------------------------------------------
  - 最后一个检查点 = 程序死亡前到达的位置: end
  - 增长最大的一处 = 首要嫌疑: 加载config_BEFORE (+440.00MB)
  - MB = 1024 · 1024 字节; RSS = 进程常驻内存
================================================================================"""


def test_the_report_in_chinese() -> None:
    made = history(("加载config_BEFORE", 500), ("加载config_AFTER", 845), ("end", 840))
    made.add_reading(reading(None, 980, 4), "CRITICAL")
    assert render(facts(made), "zh") == CHINESE


FAMILY = """\
子进程的监控 (共 2 个)
--------------------------------------------------------------------------------
  进程     开始     最后     峰值  检查点数  名称  峰值位置
     8  20.00MB  60.00MB  90.00MB         1  优化  后台监控
     7  10.00MB  20.00MB  30.00MB         3  load  加载_END
  各自峰值之和: 120.00MB; 它们未必同时出现, 共享的内存页被重复计算
"""


def member(pid: int, name: str, sizes_mb: tuple[int, int, int], label: str | None) -> Member:
    start, last, peak = (size_mb * BYTES_PER_MB for size_mb in sizes_mb)
    return Member(pid, name, (start, last, peak), 3 if label else 1, label)


def test_the_report_sums_up_the_monitors_of_children() -> None:
    found = facts(history(("a", 500)))
    found.members = [
        member(7, "load", (10, 20, 30), "加载_END"),
        member(8, "优化", (20, 60, 90), None),
    ]
    assert FAMILY in render(found, "zh")
    assert "Monitors of child processes (2 in all)" in render(found, "en")
    found.members = [member(pid, "w", (1, 1, 1), "x") for pid in range(103)]
    text = render(found, "en")
    assert text.count(" w     x") == 100
    assert "  … +3\n" in text
    assert "Sum of their peaks: 103.00MB" in text


def test_the_report_says_the_same_in_english() -> None:
    made = history(("a", 500))
    text = render(facts(made, highest_mb=None), "en")
    assert "Memory report: deepseek_backtest" in text
    assert "  - The last checkpoint = where the program died: a" in text
    assert "  - The largest growth = the suspect: a (+440.00MB)" in text
    assert not any("\u4e00" <= character <= "\u9fff" for character in text)
    assert WORDS["zh"].keys() == WORDS["en"].keys()


def test_a_report_of_nothing_says_so() -> None:
    text = render(facts(history(start_mb=None), now_mb=None, highest_mb=None), "en")
    assert text.count("\n  none\n") == 3
    assert "Now           RSS=?" in text


def test_the_ten_largest_growths_come_first_to_last() -> None:
    sizes = [60, 61, 63, 66, 70, 75, 81, 88, 96, 105, 115, 126, 50, 400]
    made = history(*((f"c{place}", rss_mb) for place, rss_mb in enumerate(sizes)))
    grown = [growth.growth_bytes // BYTES_PER_MB for growth in made.largest_growths()]
    assert grown == [350, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert (made.largest_growths()[0].begin, made.largest_growths()[0].end) == ("c12", "c13")


def test_of_equal_growths_the_earlier_comes_first_and_stays() -> None:
    made = history(*((f"c{rss_mb}", rss_mb) for rss_mb in range(61, 80)))
    assert [growth.end for growth in made.largest_growths()] == [f"c{n}" for n in range(61, 71)]


def test_growth_is_counted_across_a_size_that_is_not_known() -> None:
    made = history(("a", 70), ("b", None), ("c", 75))
    growths = [(growth.begin, growth.end) for growth in made.largest_growths()]
    assert growths == [(None, "a"), ("a", "c")]


def test_the_memory_of_a_monitor_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_FIRST", 3)
    made = history(*((f"c{number}", 100 + number) for number in range(1, 21)))
    lines = render(facts(made), "en").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("   #"))
    shown = lines[start + 1 : start + 8]
    assert [line.split()[0] for line in shown] == ["1", "2", "3", "…", "18", "19", "20"]
    assert shown[3] == "  … 14 in between were not kept; see the log"
    assert shown[4].split()[4] == "?", "the checkpoint before it is not known any more"
    assert shown[5].split()[4] == "+1.00MB"


def test_wide_characters_take_two_cells_and_marks_none() -> None:
    assert [width(text) for text in ("abc", "加载", "e\u0301", "Δ", "")] == [3, 4, 1, 1, 0]
