"""The trading strategy: finding opportunities, simulating trades, searching parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from market import Candle, Market

LONG = "LONG"
SHORT = "SHORT"
SIDES = (LONG, SHORT)

# Parameters are searched on the older part of the history, so that the rest can validate them.
TRAINING = (0.0, 0.75)
VALIDATION = (0.75, 1.0)

_WARM_UP = 60
_LOOK_AHEAD = 24
_ELITE = 3


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A move that was there to be caught, whatever any strategy does."""

    symbol: str
    timestamp: int
    side: str
    move_atr: float
    macd_histogram: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the search varies; distances are in multiples of the ATR."""

    rsi_limit: float = 52.0
    trend_gap: float = 0.3
    stop_atr: float = 1.6
    target_atr: float = 2.4
    max_bars: int = 18


@dataclass(frozen=True, slots=True)
class Trade:
    """One simulated trade.

    ``pnl`` is a fraction of the entry price, and so are the ``marks``: what the open position
    was worth at the close of each candle.
    """

    symbol: str
    side: str
    entry_time: int
    entry_price: float
    exit_price: float
    bars: int
    pnl: float
    reason: str
    marks: list[float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one set of parameters earned."""

    parameters: Parameters
    trades: list[Trade]
    score: float

    @property
    def win_rate(self) -> float:
        """The share of trades that earned something."""
        return sum(trade.pnl > 0 for trade in self.trades) / max(len(self.trades), 1)


def find_opportunities(markets: Sequence[Market], least_move_atr: float) -> list[Opportunity]:
    """Every candle that was followed by a move of at least ``least_move_atr``."""
    found = []
    for market in markets:
        for index in range(_WARM_UP, len(market.candles) - _LOOK_AHEAD):
            candle = market.candles[index]
            move = market.candles[index + _LOOK_AHEAD].close - candle.close
            move_atr = move / market.indicators.atr[index]
            if abs(move_atr) >= least_move_atr:
                found.append(
                    Opportunity(
                        market.symbol,
                        candle.timestamp,
                        LONG if move > 0 else SHORT,
                        abs(move_atr),
                        market.indicators.macd_histogram[index],
                    )
                )
    return found


def evaluate(
    markets: Sequence[Market],
    parameters: Parameters,
    window: tuple[float, float] = TRAINING,
    sides: Sequence[str] = SIDES,
) -> Outcome:
    """Trade the given part of the history with ``parameters``."""
    trades = []
    for market in markets:
        first, last = (int(share * len(market.candles)) for share in window)
        for side in sides:
            trades += _simulate(market, parameters, side, range(max(first, _WARM_UP), last))
    return Outcome(parameters, trades, score(trades))


def score(trades: Sequence[Trade]) -> float:
    """Total profit relative to the deepest drawdown on the way, open positions included."""
    balance = peak = drawdown = 0.0
    for trade in trades:
        drawdown = max(drawdown, peak - balance - min(trade.marks))
        balance += trade.pnl
        peak = max(peak, balance)
    return balance / (0.05 + drawdown)


def iterative_search(
    markets: Sequence[Market], rng: Random, generations: int, population: int
) -> list[Outcome]:
    """Mutate the best parameters again and again; the elite of all generations, best first."""
    elite: list[Outcome] = []
    best = Parameters()
    for _ in range(generations):
        candidates = [best, *(_mutated(best, rng, 0.25) for _ in range(population - 1))]
        outcomes = [evaluate(markets, candidate) for candidate in candidates]
        elite += _best_first(outcomes)[:_ELITE]
        best = _best_first(elite)[0].parameters
    return _best_first(elite)


def coarse_screen(
    markets: Sequence[Market], rng: Random, candidates: int, keep: int
) -> list[Parameters]:
    """Try widely scattered parameters on a quarter of the history; the best ``keep`` of them."""
    outcomes = [
        evaluate(markets, _mutated(Parameters(), rng, 0.6), window=(0.0, 0.25))
        for _ in range(candidates)
    ]
    return [outcome.parameters for outcome in _best_first(outcomes)[:keep]]


def fine_selection(markets: Sequence[Market], shortlist: Sequence[Parameters]) -> list[Outcome]:
    """The shortlist on the whole training history, best first."""
    return _best_first([evaluate(markets, parameters) for parameters in shortlist])


def separated_optimisation(
    markets: Sequence[Market], base: Parameters, rng: Random, attempts: int
) -> dict[tuple[str, str], Outcome]:
    """Parameters of their own for every symbol and side."""
    separated = {}
    for market in markets:
        for side in SIDES:
            outcomes = [
                evaluate([market], _mutated(base, rng, 0.3), sides=[side]) for _ in range(attempts)
            ]
            separated[market.symbol, side] = _best_first(outcomes)[0]
    return separated


def resampled_scores(trades: Sequence[Trade], rng: Random, rounds: int) -> list[float]:
    """Scores of as many trades drawn at random from ``trades``, lowest first."""
    return sorted(score(rng.choices(trades, k=len(trades))) for _ in range(rounds))


def _simulate(market: Market, parameters: Parameters, side: str, window: range) -> list[Trade]:
    """Buy dips of an up trend, or sell rallies of a down trend, one position at a time."""
    direction = 1.0 if side == LONG else -1.0
    indicators = market.indicators
    ema_fast, ema_slow, rsi = indicators.ema_fast, indicators.ema_slow, indicators.rsi
    trades = []
    free_from = window.start
    for index in window:
        if index < free_from or direction * (rsi[index] - 50.0) > parameters.rsi_limit - 50.0:
            continue
        atr = indicators.atr[index]
        if direction * (ema_fast[index] - ema_slow[index]) < parameters.trend_gap * atr:
            continue
        last = min(index + parameters.max_bars, window.stop - 1)
        trade = _follow(market.symbol, market.candles, index, last, parameters, atr, side)
        trades.append(trade)
        free_from = index + trade.bars + 1
    return trades


def _follow(
    symbol: str,
    candles: Sequence[Candle],
    entry: int,
    last: int,
    parameters: Parameters,
    atr: float,
    side: str,
) -> Trade:
    """Hold a position opened at ``entry`` until its stop, its target or the ``last`` candle."""
    direction = 1.0 if side == LONG else -1.0
    entry_price = candles[entry].close
    stop = entry_price - direction * parameters.stop_atr * atr
    target = entry_price + direction * parameters.target_atr * atr
    exit_index, exit_price, reason = last, candles[last].close, "TIMEOUT"
    marks = [0.0]
    for index in range(entry + 1, last + 1):
        candle = candles[index]
        worst, best = (candle.low, candle.high) if side == LONG else (candle.high, candle.low)
        if direction * (worst - stop) <= 0.0:
            exit_index, exit_price, reason = index, stop, "STOP"
            break
        if direction * (best - target) >= 0.0:
            exit_index, exit_price, reason = index, target, "TARGET"
            break
        marks.append(direction * (candle.close - entry_price) / entry_price)
    return Trade(
        symbol,
        side,
        candles[entry].timestamp,
        entry_price,
        exit_price,
        exit_index - entry,
        direction * (exit_price - entry_price) / entry_price,
        reason,
        marks,
    )


def _mutated(base: Parameters, rng: Random, spread: float) -> Parameters:
    def around(value: float) -> float:
        return value * rng.uniform(1.0 - spread, 1.0 + spread)

    return Parameters(
        rsi_limit=50.0 + around(base.rsi_limit - 50.0),
        trend_gap=around(base.trend_gap),
        stop_atr=around(base.stop_atr),
        target_atr=around(base.target_atr),
        max_bars=max(4, round(around(base.max_bars))),
    )


def _best_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.score, reverse=True)
