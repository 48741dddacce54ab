"""The learning config: loading, saving, taking a copy to compare with, and comparing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from strategy import Outcome, Parameters, Trade

Config = dict[str, Any]

_LEARNING_RATE = 0.1
_SIGNALS_UPDATED = 40


@dataclass(frozen=True, slots=True)
class PhaseData:
    """What the phases found that the learning config should know."""

    best: Outcome
    separated: Mapping[tuple[str, str], Outcome]
    over_fitted: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between the old config and the new one."""

    path: str
    old: object
    new: object


def load_config(path: Path) -> Config:
    """Read the learning config."""
    with path.open(encoding="utf-8") as handle:
        config: Config = json.load(handle)
    return config


def save_parameters(path: Path, parameters: Parameters) -> None:
    """Write one set of parameters, for the next phase or a person to pick up."""
    path.write_text(json.dumps(asdict(parameters), indent=2) + "\n", encoding="utf-8")


def copy_for_comparison(config: Config) -> Config:
    """The sections that a run may change, as they are now."""
    old_config: Config = {"version": config["version"]}
    old_config["signal_weights"] = copy.deepcopy(config["signal_weights"])
    old_config["parameter_grids"] = copy.deepcopy(config["parameter_grids"])
    old_config["symbol_statistics"] = copy.deepcopy(config["symbol_statistics"])
    old_config["market_regimes"] = copy.deepcopy(config["market_regimes"])
    return old_config


def collect_phase_data(config: Config, data: PhaseData) -> None:
    """Write what the phases found into ``config``."""
    config["trade_history"].extend(_history_entry(trade) for trade in data.best.trades)
    for (symbol, side), outcome in data.separated.items():
        won = sum(trade.pnl > 0 for trade in outcome.trades)
        for signal in list(config["signal_weights"][symbol].values())[:_SIGNALS_UPDATED]:
            step = _LEARNING_RATE * (outcome.win_rate - signal["weight"])
            signal["weight"] = round(signal["weight"] + step, 4)
        config["parameter_grids"][symbol].append(
            asdict(outcome.parameters)
            | {"side": side, "trades": len(outcome.trades), "score": round(outcome.score, 4)}
        )
        config["symbol_statistics"][symbol][f"latest-{side}"] = {
            "entries": len(outcome.trades),
            "wins": won,
            "losses": len(outcome.trades) - won,
        }
        config["market_regimes"][symbol][-1]["trades"] += len(outcome.trades)
    if not data.over_fitted:
        config["version"] += 1


def compare(old_config: Config, config: Config) -> list[Change]:
    """Every value of the copied sections that is different now."""
    return list(_differences(old_config, {name: config[name] for name in old_config}, ""))


def _history_entry(trade: Trade) -> dict[str, object]:
    return {
        "symbol": trade.symbol,
        "side": trade.side,
        "entry_time": trade.entry_time,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "bars": trade.bars,
        "pnl": trade.pnl,
        "reason": trade.reason,
        "worst_mark": min(trade.marks),
    }


def _differences(old: object, new: object, path: str) -> Iterator[Change]:
    if old == new:
        return
    old_items, new_items = _items(old), _items(new)
    if old_items is None or new_items is None:
        yield Change(path, old, new)
        return
    for key in old_items | new_items:
        yield from _differences(old_items.get(key), new_items.get(key), f"{path}/{key}")


def _items(value: object) -> dict[Any, Any] | None:
    """What a JSON container holds, by key or by index; None for any other value."""
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, list) else None
