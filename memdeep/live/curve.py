"""Keeps RSS over the whole of a run in a few cells, however long it becomes."""

from __future__ import annotations

CELLS = 60
FIRST_PERIOD_MS = 100


class Curve:
    """The highest reading of each period; the period doubles whenever the cells run out."""

    def __init__(self, cells: int = CELLS, period_ms: int = FIRST_PERIOD_MS) -> None:
        self._cells = cells
        self.period_ms = period_ms
        self.values: list[int] = []

    def add(self, time_ms: int, value: int) -> None:
        """Note a reading; a period without any is as the one before it."""
        while time_ms // self.period_ms >= self._cells:
            self.period_ms *= 2
            pairs = range(0, len(self.values), 2)
            self.values = [max(self.values[at : at + 2]) for at in pairs]
        place = time_ms // self.period_ms
        before = self.values[-1] if self.values else value
        self.values.extend([before] * (place - len(self.values)))
        if place == len(self.values):
            self.values.append(value)
        self.values[place] = max(self.values[place], value)
