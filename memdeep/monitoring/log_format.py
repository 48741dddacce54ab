"""Lines of a monitor's log as text: levels, differences, words, and the rule of nearness.

Pure, and needs next to nothing: the monitor inside a program and the parent process of
`memdeep run` write the same lines with it. Knows neither files nor clocks.
"""

from __future__ import annotations

from memdeep.text.safe import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

BYTES_PER_MB = 1024 * 1024
NEAR = 0.85  # of the critical threshold

INFO = "INFO"
WARNING = "WARNING"
CRITICAL = "CRITICAL"

MAX_TEXT = 10_000  # characters of a label or a note, as in the journal

_BACKGROUND = {"zh": "后台监控", "en": "background"}
_NEAR = {
    "zh": "⚠️ 内存接近危险阈值！当前RSS={rss} (阈值={threshold})",
    "en": "⚠️ Memory is near the critical threshold! RSS={rss} (threshold={threshold})",
}
_REACHED = {
    "zh": "⚠️ 内存已达到危险阈值！当前RSS={rss} (阈值={threshold})",
    "en": "⚠️ Memory has reached the critical threshold! RSS={rss} (threshold={threshold})",
}


def one_line(text: object) -> str:
    """Put ``text`` on one line that any encoding can carry and that steers no terminal."""
    line = str(text)
    if len(line) > MAX_TEXT:
        line = line[:MAX_TEXT] + "…"
    return plain(line)


def size(number_bytes: float | None) -> str:
    """Format a size: ``845.23MB``; MB is 1024 · 1024 bytes."""
    return "?" if number_bytes is None else f"{number_bytes / BYTES_PER_MB:.2f}MB"


def change(number_bytes: int | None) -> str:
    """Format a difference: ``+329.34MB``; ``+0.00MB``, never ``-0.00MB``."""
    if number_bytes is None:
        return "?"
    return f"{round(number_bytes / BYTES_PER_MB, 2) + 0.0:+.2f}MB"


def begin_label(label: str) -> str:
    """Return the label of the line written where the span ``label`` begins."""
    return f"{label}_START"


def end_label(label: str) -> str:
    """Return the label of the line written where the span ``label`` ends."""
    return f"{label}_END"


class Thresholds:
    """Sizes where WARNING and CRITICAL begin, in MB of RSS; None means never.

    A resident size of exactly the threshold has reached it. ``near_bytes`` is where the critical
    threshold counts as near: from 85 % of it on, but not below the warning threshold.
    """

    __slots__ = ("critical_bytes", "near_bytes", "warning_bytes")

    def __init__(self, warning_mb: float | None, critical_mb: float | None) -> None:
        self.warning_bytes = _bytes(warning_mb)
        self.critical_bytes = _bytes(critical_mb)
        self.near_bytes = None
        if self.critical_bytes is not None:
            near_bytes = max(NEAR * self.critical_bytes, self.warning_bytes or 0.0)
            self.near_bytes = min(near_bytes, self.critical_bytes)

    def level(self, rss_bytes: int | None) -> str:
        """Return the level of a size; INFO if it is not known."""
        if rss_bytes is not None:
            if self.critical_bytes is not None and rss_bytes >= self.critical_bytes:
                return CRITICAL
            if self.warning_bytes is not None and rss_bytes >= self.warning_bytes:
                return WARNING
        return INFO

    def is_near(self, rss_bytes: int) -> bool:
        return self.near_bytes is not None and rss_bytes >= self.near_bytes


def _bytes(number_mb: float | None) -> float | None:
    return None if number_mb is None else float(number_mb) * BYTES_PER_MB


class LogFormat:
    """Maker of the lines of one process's log, in the order of its readings.

    ``start_bytes`` is the RSS that Δ counts from; None takes the first reading known. ``lang`` is
    "zh" or "en". Lines have no line end, and their times are local, as ``when`` is.

    The rule of the ⚠️ line: it follows the first reading, of a checkpoint or of the background,
    at which the critical threshold is near (see `Thresholds`), and says that the threshold is
    reached if it already is. It comes once per approach: only after a reading below
    `Thresholds.near_bytes` may it come again.
    """

    __slots__ = ("_lang", "_near", "_previous_bytes", "_start_bytes", "thresholds")

    def __init__(self, start_bytes: int | None, thresholds: Thresholds, lang: str = "zh") -> None:
        self.thresholds = thresholds
        self._start_bytes = start_bytes
        self._previous_bytes = start_bytes
        self._lang = lang
        self._near = False

    def lines(
        self, label: str, rss_bytes: int | None, note: str | None, when: datetime
    ) -> list[str]:
        """Return a checkpoint's line, and the ⚠️ line where it is due.

        ``[2025-11-20 10:30:48] [WARNING] [label] RSS=845.23MB (Δ+785.12MB, +329.34MB) note``:
        since the start, and since the previous checkpoint.
        """
        since_start = self._since(self._start_bytes, rss_bytes)
        since_previous = self._since(self._previous_bytes, rss_bytes)
        line = (
            f"{_time(when)} [{self.thresholds.level(rss_bytes)}] [{one_line(label)}] "
            f"RSS={size(rss_bytes)} (Δ{since_start}, {since_previous})"
        )
        if note is not None and note != "":
            line = f"{line} {one_line(note)}"
        if rss_bytes is not None:
            self._previous_bytes = rss_bytes
        return [line, *self._near_lines(rss_bytes, when)]

    def background_lines(self, rss_bytes: int | None, when: datetime) -> list[str]:
        """Return the lines of a background reading: none below both thresholds.

        ``[2025-11-20 10:30:49] [后台监控] RSS=980.45MB (Δ+920.34MB)``: since the start.
        """
        lines = []
        if self.thresholds.level(rss_bytes) != INFO:
            since_start = self._since(self._start_bytes, rss_bytes)
            source = _BACKGROUND[self._lang]
            lines.append(f"{_time(when)} [{source}] RSS={size(rss_bytes)} (Δ{since_start})")
        return lines + self._near_lines(rss_bytes, when)

    def _since(self, earlier_bytes: int | None, rss_bytes: int | None) -> str:
        if rss_bytes is not None and self._start_bytes is None:
            self._start_bytes = self._previous_bytes = earlier_bytes = rss_bytes
        known = rss_bytes is not None and earlier_bytes is not None
        return change(rss_bytes - earlier_bytes if known else None)  # type: ignore[operator]

    def _near_lines(self, rss_bytes: int | None, when: datetime) -> list[str]:
        if rss_bytes is None:
            return []
        was_near, self._near = self._near, self.thresholds.is_near(rss_bytes)
        if was_near or not self._near:
            return []
        critical_bytes = self.thresholds.critical_bytes
        words = _REACHED if self.thresholds.level(rss_bytes) == CRITICAL else _NEAR
        sentence = words[self._lang].format(rss=size(rss_bytes), threshold=size(critical_bytes))
        return [f"{_time(when)} [{CRITICAL}] {sentence}"]


def _time(when: datetime) -> str:
    return f"[{when:%Y-%m-%d %H:%M:%S}]"
