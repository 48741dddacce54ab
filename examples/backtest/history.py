"""Writes the `learning_config.json` that earlier runs of the backtest would have left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from json import JSONEncoder
from pathlib import Path
from random import Random

from market import SYMBOLS
from strategy import SIDES

_SEED = 20_240_101
_PATTERNS = ("macd_cross", "ema_pullback", "rsi_reversal", "range_break", "volume_spike")
_REGIMES = ("trend_up", "trend_down", "range", "panic")
_EXITS = ("STOP", "TARGET", "TIMEOUT")

# Entries per symbol at scale 1.0; chosen so that loading the file takes 329 MB with Python 3.11.
_TRADES = 29_300
_SIGNALS = 14_400
_GRID_POINTS = 13_000
_STATISTICS = 11_500
_REGIME_SPELLS = 9_500

_encode = JSONEncoder(separators=(",", ":")).encode


def write_learning_history(path: Path, scale: float) -> None:
    """Write the file entry by entry: it is never in memory as a whole."""
    with path.open("w", encoding="utf-8") as handle:
        handle.writelines(_config(Random(_SEED), scale))


def _config(rng: Random, scale: float) -> Iterator[str]:
    trades, signals, grid_points, hours, spells = (
        range(max(10, int(count * scale)))
        for count in (_TRADES, _SIGNALS, _GRID_POINTS, _STATISTICS, _REGIME_SPELLS)
    )
    sections: dict[str, Iterable[str]] = {
        "version": ["7"],
        "trade_history": _array(_trade(rng, symbol) for symbol in SYMBOLS for _ in trades),
        "signal_weights": _object((name, _object(_signals(rng, signals))) for name in SYMBOLS),
        "parameter_grids": _object(
            (name, _array(_grid_point(rng) for _ in grid_points)) for name in SYMBOLS
        ),
        "symbol_statistics": _object((name, _object(_statistics(rng, hours))) for name in SYMBOLS),
        "market_regimes": _object((name, _array(_regime(rng) for _ in spells)) for name in SYMBOLS),
    }
    return _object(sections.items())


def _array(entries: Iterable[dict[str, object]]) -> Iterator[str]:
    """A JSON array, in pieces."""
    separator = "["
    for entry in entries:
        yield separator + _encode(entry)
        separator = ",\n"
    yield "]"


def _object(members: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """A JSON object whose values come in pieces, in pieces."""
    separator = "{"
    for key, pieces in members:
        yield f'{separator}"{key}":'
        yield from pieces
        separator = ",\n"
    yield "}"


def _count(rng: Random, below: int) -> int:
    """A whole number from 0; several times as fast as ``randrange``."""
    return int(rng.random() * below)


def _trade(rng: Random, symbol: str) -> dict[str, object]:
    entry_price = round(100.0 + 900.0 * rng.random(), 3)
    pnl = round(0.05 * rng.random() - 0.024, 5)
    return {
        "symbol": symbol,
        "side": SIDES[_count(rng, 2)],
        "entry_time": 1_672_531_200 + 900 * _count(rng, 35_000),
        "entry_price": entry_price,
        "exit_price": round(entry_price * (1.0 + pnl), 3),
        "bars": _count(rng, 48),
        "pnl": pnl,
        "reason": _EXITS[_count(rng, 3)],
        "pattern": _PATTERNS[_count(rng, 5)],
        "confidence": round(rng.random(), 4),
        "leverage": 1 + _count(rng, 5),
    }


def _signals(rng: Random, ranks: range) -> Iterator[tuple[str, list[str]]]:
    for rank in ranks:
        entry = {
            "weight": round(rng.random(), 4),
            "win_rate": round(0.3 + 0.4 * rng.random(), 4),
            "profit_factor": round(2.0 * rng.random(), 4),
            "rsi_from": _count(rng, 50),
            "rsi_to": 50 + _count(rng, 50),
            "atr_rank": _count(rng, 100),
            "hour": _count(rng, 24),
            "weekday": _count(rng, 7),
            "used": _count(rng, 200),
            "won": _count(rng, 100),
            "enabled": rng.random() < 0.8,
        }
        yield f"{_PATTERNS[rank % 5]}-{rank:05d}", [_encode(entry)]


def _grid_point(rng: Random) -> dict[str, object]:
    return {
        "rsi_limit": round(50.0 + 10.0 * rng.random(), 2),
        "trend_gap": round(rng.random(), 3),
        "stop_atr": round(1.0 + rng.random(), 3),
        "target_atr": round(1.5 + 2.0 * rng.random(), 3),
        "max_bars": 4 + _count(rng, 40),
        "ema_fast": 10 + _count(rng, 20),
        "ema_slow": 40 + _count(rng, 60),
        "trades": _count(rng, 250),
        "wins": _count(rng, 120),
        "losses": _count(rng, 120),
        "score": round(4.0 * rng.random() - 1.0, 4),
    }


def _statistics(rng: Random, hours: range) -> Iterator[tuple[str, list[str]]]:
    for hour in hours:
        entry = {
            "volatility": round(0.05 * rng.random(), 5),
            "spread": round(0.001 * rng.random(), 6),
            "volume_ratio": round(3.0 * rng.random(), 3),
            "funding": round(0.0002 * rng.random(), 7),
            "signals": _count(rng, 40),
            "entries": _count(rng, 20),
            "wins": _count(rng, 10),
            "losses": _count(rng, 10),
            "gaps": _count(rng, 3),
            "rank": _count(rng, 100),
            "quality": _count(rng, 5),
        }
        yield f"day{hour // 24:04d}T{hour % 24:02d}", [_encode(entry)]


def _regime(rng: Random) -> dict[str, object]:
    return {
        "kind": _REGIMES[_count(rng, 4)],
        "strength": round(rng.random(), 4),
        "duration": _count(rng, 200),
        "drift": round(0.02 * rng.random() - 0.01, 5),
        "noise": round(0.01 * rng.random(), 5),
        "long_bias": _count(rng, 100),
        "short_bias": _count(rng, 100),
        "stop_factor": round(0.5 + rng.random(), 3),
        "target_factor": round(0.5 + rng.random(), 3),
        "trades": _count(rng, 150),
        "wins": _count(rng, 80),
    }
