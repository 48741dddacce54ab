"""Turns figures into text for people. Knows no phase and no page.

MB is 1024 · 1024 bytes, the same as in the logs of the kernel and of most Python programs.
``templates/js/format.js`` rounds in the same way.
"""

from __future__ import annotations

import re

MINUS = "−"
UNKNOWN = "–"
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_GB = _UNITS.index("GB")
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([kmgt])(?:i?b)?", re.ASCII | re.IGNORECASE)
_POWERS = "bkmgt"
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_SECONDS = 31 * 86_400.0


def size(value: int | None) -> str:
    """Return ``345 B``, ``1.5 KB``, ``329.3 MB``, ``1.04 GB``; an en dash for None.

    What would have four digits before its point is told in the next unit, and few of those with
    two decimals: 1019.8 MB and 1.0 GB, side by side, cannot be compared at a glance.
    """
    if value is None:
        return UNKNOWN
    amount = float(abs(value))
    unit = 0
    while amount >= (1024 if unit == 0 else 999.95) and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1
    decimals = 0 if unit == 0 else 2 if unit >= _GB and amount < 9.995 else 1
    return f"{MINUS if value < 0 else ''}{amount:.{decimals}f} {_UNITS[unit]}"


def size_bytes(text: str) -> int | None:
    """The bytes of ``950M``, ``1.5 GB`` or ``2GiB``, all powers of 1024; None for other texts."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    return round(float(match[1]) * (1 << 10 * _POWERS.index(match[2].lower())))


def seconds_of(text: str) -> float | None:
    """The seconds of ``60s``, ``5m``, ``1h`` or ``2d``, at most 31 days; None for other texts."""
    match = _TIME.fullmatch(text.strip())
    seconds = 0.0 if match is None else float(match[1]) * _UNITS_S[match[2] or "s"]
    return seconds if 0 < seconds <= _MOST_SECONDS else None


def signed_size(value: int | None) -> str:
    """Return `size` with a plus if ``value`` is positive; ``0`` for no change."""
    if value == 0:
        return "0"
    return f"+{size(value)}" if value is not None and value > 0 else size(value)


def percent(ratio: float | None) -> str:
    """Return ``98.2 %``; whole numbers from 99.95 on, an en dash for None."""
    if ratio is None:
        return UNKNOWN
    value = abs(ratio * 100)
    text = f"{value:.0f} %" if value >= 99.95 or value == 0 else f"{value:.1f} %"
    return f"{MINUS}{text}" if ratio < 0 else text


def duration(seconds: float | None) -> str:
    """Return ``<1 ms``, ``12 ms``, ``3.2 s``, ``2 min 05 s``, ``3 h 07 min``, or an en dash."""
    if seconds is None:
        return UNKNOWN
    milliseconds = seconds * 1000
    if 0 < milliseconds <= 0.5:
        return "<1 ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def count(value: int, noun: str) -> str:
    """Return ``1 allocation`` or ``1,204 allocations``."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"
