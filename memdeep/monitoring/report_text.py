"""Text report of a monitor's history, in columns that stay columns with Chinese labels."""

from __future__ import annotations

from memdeep.monitoring.log_format import Thresholds, change, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memdeep.monitoring.family import Member
    from memdeep.monitoring.history import Crossing, History, Reading

WIDTH = 80  # terminal cells
MAX_MEMBERS = 100

_ZH = {
    "title": "内存监控报告",
    "start": "开始",
    "now": "现在",
    "peak": "峰值",
    "highest": "进程最高",
    "by_kernel": "(内核统计, 含监控开始之前)",
    "growth": "总增长",
    "thresholds": "阈值",
    "never": "未设置",
    "checkpoints": "检查点 (按顺序, 共 {count} 个)",
    "time": "时间",
    "since_start": "距开始",
    "since_previous": "距上一个",
    "level": "级别",
    "label": "标签",
    "left_out": "… 中间 {count} 个未保留, 见日志",
    "growths": "增长最大的 10 处",
    "crossings": "阈值跨越 (共 {count} 次)",
    "background": "后台监控",
    "none": "无",
    "family": "子进程的监控 (共 {count} 个)",
    "process": "进程",
    "name": "名称",
    "last": "最后",
    "count": "检查点数",
    "peak_at": "峰值位置",
    "family_peaks": "各自峰值之和: {size}; 它们未必同时出现, 共享的内存页被重复计算",
    "guide": "阅读指南",
    "guide_last": "最后一个检查点 = 程序死亡前到达的位置",
    "guide_growth": "增长最大的一处 = 首要嫌疑",
    "guide_units": "MB = 1024 · 1024 字节; RSS = 进程常驻内存",
    "is": ": {label}",
}
_EN = {
    "title": "Memory report",
    "start": "Start",
    "now": "Now",
    "peak": "Peak",
    "highest": "Highest ever",
    "by_kernel": "(by the kernel's count, before the monitor as well)",
    "growth": "Total growth",
    "thresholds": "Thresholds",
    "never": "none",
    "checkpoints": "Checkpoints (in order, {count} in all)",
    "time": "Time",
    "since_start": "Since start",
    "since_previous": "Since last",
    "level": "Level",
    "label": "Label",
    "left_out": "… {count} in between were not kept; see the log",
    "growths": "The 10 largest growths",
    "crossings": "Threshold crossings ({count} in all)",
    "background": "background",
    "none": "none",
    "family": "Monitors of child processes ({count} in all)",
    "process": "Process",
    "name": "Name",
    "last": "Last",
    "count": "Checkpoints",
    "peak_at": "Peak at",
    "family_peaks": "Sum of their peaks: {size} (of different moments; shared pages count twice)",
    "guide": "How to read this",
    "guide_last": "The last checkpoint = where the program died",
    "guide_growth": "The largest growth = the suspect",
    "guide_units": "MB = 1024 · 1024 bytes; RSS = the process's resident memory",
    "is": ": {label}",
}
WORDS = {"zh": _ZH, "en": _EN}


class Facts:
    """Content of a report: the history, and the readings made when it is asked for."""

    __slots__ = ("highest_bytes", "history", "members", "name", "now", "thresholds")

    def __init__(
        self,
        name: str,
        history: History,
        thresholds: Thresholds,
        now: Reading,
        highest_bytes: int | None,
        members: Sequence[Member] = (),
    ) -> None:
        self.name = name
        self.history = history
        self.thresholds = thresholds
        self.now = now
        self.highest_bytes = highest_bytes
        self.members = members


def render(facts: Facts, lang: str) -> str:
    """Return the report in ``lang``, without a line end after its last line."""
    words = WORDS[lang]
    lines = ["=" * WIDTH, f"{words['title']}: {facts.name}", "=" * WIDTH]
    lines += _table(_summary(facts, words), "lll", indent="")
    lines += _section(words["checkpoints"].format(count=facts.history.count))
    lines += _checkpoints(facts, words)
    lines += _section(words["growths"])
    lines += _growths(facts, words)
    lines += _section(words["crossings"].format(count=facts.history.crossings_count))
    lines += _crossings(facts, words)
    if facts.members:
        lines += _section(words["family"].format(count=len(facts.members)))
        lines += _family(facts.members, words)
    lines += _section(words["guide"])
    lines += _guide(facts, words)
    lines.append("=" * WIDTH)
    return "\n".join(lines)


def _summary(facts: Facts, words: dict[str, str]) -> list[list[str]]:
    start, peak = facts.history.start, facts.history.peak
    growth = change(_difference(facts.now.rss_bytes, start.rss_bytes))
    thresholds = (
        f"{level} {words['never'] if threshold is None else size(threshold)}"
        for level, threshold in (
            ("WARNING", facts.thresholds.warning_bytes),
            ("CRITICAL", facts.thresholds.critical_bytes),
        )
    )
    rows = [
        [words["start"], f"RSS={size(start.rss_bytes)}", _time(start)],
        [words["now"], f"RSS={size(facts.now.rss_bytes)}", _time(facts.now)],
        [words["peak"], f"RSS={size(peak.rss_bytes)}", f"{_time(peak)} {_where(peak, words)}"],
        [words["growth"], growth, ""],
        [words["thresholds"], ", ".join(thresholds), ""],
    ]
    if facts.highest_bytes is not None:
        highest = [words["highest"], f"RSS={size(facts.highest_bytes)}", words["by_kernel"]]
        rows.insert(3, highest)
    return rows


def _checkpoints(facts: Facts, words: dict[str, str]) -> list[str]:
    history = facts.history
    if not history.count:
        return [f"  {words['none']}"]
    titles = ("time", "since_start", "since_previous", "level", "label")
    head = [words[title] for title in titles]
    rows = [["#", head[0], "RSS", *head[1:]]]
    previous_bytes = history.start.rss_bytes
    kept = len(history.first) + len(history.last)
    for place, reading in enumerate([*history.first, *history.last]):
        last_part = place >= len(history.first)
        if last_part and place == len(history.first) and kept < history.count:
            previous_bytes = None  # the checkpoint before it is not known any more
        rows.append(
            [
                str(place + 1 + (history.count - kept if last_part else 0)),
                f"{reading.when:%H:%M:%S}",
                size(reading.rss_bytes),
                change(_difference(reading.rss_bytes, history.start.rss_bytes)),
                change(_difference(reading.rss_bytes, previous_bytes)),
                facts.thresholds.level(reading.rss_bytes),
                _where(reading, words),
            ]
        )
        if reading.rss_bytes is not None:
            previous_bytes = reading.rss_bytes
    lines = _table(rows, "rlrrrll")
    if kept < history.count:
        left_out = words["left_out"].format(count=history.count - kept)
        lines.insert(1 + len(history.first), f"  {left_out}")
    return lines


def _growths(facts: Facts, words: dict[str, str]) -> list[str]:
    rows = [
        [
            f"{rank}.",
            change(growth.growth_bytes),
            f"{words['start'] if growth.begin is None else growth.begin} → {growth.end}",
        ]
        for rank, growth in enumerate(facts.history.largest_growths(), 1)
    ]
    return _table(rows, "rrl") or [f"  {words['none']}"]


def _crossings(facts: Facts, words: dict[str, str]) -> list[str]:
    rows = [_crossing(crossing, words) for crossing in facts.history.crossings]
    return _table(rows, "llrl") or [f"  {words['none']}"]


def _crossing(crossing: Crossing, words: dict[str, str]) -> list[str]:
    reading = crossing.reading
    levels = f"{crossing.before} → {crossing.after}"
    return [_time(reading), levels, f"RSS={size(reading.rss_bytes)}", _where(reading, words)]


def _family(members: Sequence[Member], words: dict[str, str]) -> list[str]:
    """Lay out the monitors of children by peak, the largest first, and the rest by number."""
    ordered = sorted(members, key=lambda member: -(member.peak_bytes or 0))
    titles = ("process", "start", "last", "peak", "count", "name", "peak_at")
    rows = [[words[title] for title in titles]]
    for member in ordered[:MAX_MEMBERS]:
        sizes = (member.start_bytes, member.last_bytes, member.peak_bytes)
        where = words["background"] if member.peak_label is None else member.peak_label
        rows.append(
            [str(member.pid), *map(size, sizes), str(member.checkpoints), member.name, where]
        )
    lines = _table(rows, "rrrrrll")
    if len(members) > MAX_MEMBERS:
        lines.append(f"  … +{len(members) - MAX_MEMBERS}")
    total = sum(member.peak_bytes or 0 for member in members)
    return [*lines, "  " + words["family_peaks"].format(size=size(total))]


def _guide(facts: Facts, words: dict[str, str]) -> list[str]:
    history = facts.history
    last = [*history.first[-1:], *list(history.last)[-1:]][-1:]
    largest = history.largest_growths()[:1]
    at_last = "".join(words["is"].format(label=_where(reading, words)) for reading in last)
    at_growth = "".join(
        words["is"].format(label=f"{growth.end} ({change(growth.growth_bytes)})")
        for growth in largest
    )
    return [
        f"  - {words['guide_last']}{at_last}",
        f"  - {words['guide_growth']}{at_growth}",
        f"  - {words['guide_units']}",
    ]


def _section(title: str) -> list[str]:
    return ["", title, "-" * WIDTH]


def _time(reading: Reading) -> str:
    return f"{reading.when:%Y-%m-%d %H:%M:%S}"


def _where(reading: Reading, words: dict[str, str]) -> str:
    return words["background"] if reading.label is None else reading.label


def _difference(later_bytes: int | None, earlier_bytes: int | None) -> int | None:
    if later_bytes is None or earlier_bytes is None:
        return None
    return later_bytes - earlier_bytes


def _table(rows: list[list[str]], sides: str, indent: str = "  ") -> list[str]:
    """Align ``rows`` in columns; ``sides`` has l or r for each column."""
    cells = [max((width(row[place]) for row in rows), default=0) for place in range(len(sides))]
    return [indent + _line(row, cells, sides).rstrip() for row in rows]


def _line(row: Iterable[str], cells: list[int], sides: str) -> str:
    padded = []
    for text, wide, side in zip(row, cells, sides, strict=True):
        room = " " * (wide - width(text))
        padded.append(room + text if side == "r" else text + room)
    return "  ".join(padded)


def width(text: str) -> int:
    """Count the terminal cells of ``text``: two for a wide character, none for a mark."""
    if text.isascii():
        return len(text)
    import unicodedata

    cells = 0
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            continue
        cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return cells
