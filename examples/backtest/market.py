"""Candles and indicators of made-up markets: the same ones in every run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT")

_FIRST_PRICES = (42_000.0, 2_300.0, 98.0, 310.0, 0.62, 0.081)
_FIRST_TIMESTAMP = 1_704_067_200
_CANDLE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Candle:
    """One quarter of an hour of trading."""

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Indicators:
    """Indicator values, one per candle."""

    ema_fast: list[float]
    ema_slow: list[float]
    rsi: list[float]
    atr: list[float]
    macd_histogram: list[float]


@dataclass(frozen=True, slots=True)
class Market:
    """The history of one symbol."""

    symbol: str
    candles: list[Candle]
    indicators: Indicators


def load_markets(candle_count: int) -> list[Market]:
    """Generate every symbol's history, oldest candle first."""
    markets = []
    for seed, (symbol, first_price) in enumerate(zip(SYMBOLS, _FIRST_PRICES, strict=True)):
        candles = _generate_candles(Random(seed), first_price, candle_count)
        markets.append(Market(symbol, candles, _indicators(candles)))
    return markets


def ema(values: Sequence[float], period: int) -> list[float]:
    """Exponential moving average, started at the first value."""
    weight = 2.0 / (period + 1)
    average = values[0]
    averages = []
    for value in values:
        average += weight * (value - average)
        averages.append(average)
    return averages


def rsi(closes: Sequence[float], period: int = 14) -> list[float]:
    """Relative strength index with Wilder's smoothing; 50 while nothing has moved."""
    gain = loss = 0.0
    previous = closes[0]
    strengths = []
    for close in closes:
        change = close - previous
        gain += (max(change, 0.0) - gain) / period
        loss += (max(-change, 0.0) - loss) / period
        strengths.append(100.0 * gain / (gain + loss) if gain + loss else 50.0)
        previous = close
    return strengths


def atr(candles: Sequence[Candle], period: int = 14) -> list[float]:
    """Average true range with Wilder's smoothing."""
    average = candles[0].high - candles[0].low
    previous_close = candles[0].close
    ranges = []
    for candle in candles:
        true_range = max(candle.high, previous_close) - min(candle.low, previous_close)
        average += (true_range - average) / period
        ranges.append(average)
        previous_close = candle.close
    return ranges


def macd_histogram(closes: Sequence[float]) -> list[float]:
    """The 12/26 MACD line minus its 9-candle signal line."""
    line = [fast - slow for fast, slow in zip(ema(closes, 12), ema(closes, 26), strict=True)]
    return [value - signal for value, signal in zip(line, ema(line, 9), strict=True)]


def _indicators(candles: Sequence[Candle]) -> Indicators:
    closes = [candle.close for candle in candles]
    return Indicators(
        ema_fast=ema(closes, 20),
        ema_slow=ema(closes, 60),
        rsi=rsi(closes),
        atr=atr(candles),
        macd_histogram=macd_histogram(closes),
    )


def _generate_candles(rng: Random, first_price: float, count: int) -> list[Candle]:
    """A random walk whose drift swings slowly, so that there are trends to find."""
    price = first_price
    candles = []
    for index in range(count):
        drift = 0.0006 * math.sin(index / 190.0)
        close = price * math.exp(rng.gauss(drift, 0.004))
        reach = abs(rng.gauss(0.0, 0.002))
        candles.append(
            Candle(
                timestamp=_FIRST_TIMESTAMP + index * _CANDLE_SECONDS,
                open=price,
                high=max(price, close) * (1.0 + reach),
                low=min(price, close) * (1.0 - reach),
                close=close,
                volume=1_000.0 * rng.random(),
            )
        )
        price = close
    return candles
