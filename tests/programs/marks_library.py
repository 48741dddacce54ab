"""A module with all kinds of functions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator


def load(path: str, size: int = 3, *, mode: str = "fast") -> str:
    """The doc of load."""
    return f"{path!s:.6} {size} {mode}"


async def fetch(name: str) -> str:
    await asyncio.sleep(0)
    return name


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


async def later(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@contextlib.contextmanager
def opened(name: str) -> Iterator[str]:
    yield name


class Base:
    def inherited(self, value: int) -> int:
        return value


class Service(Base):
    """A class."""

    def method(self, value: int) -> int:
        return value

    @classmethod
    def of_class(cls, value: int) -> int:
        return value

    @staticmethod
    def static(value: int) -> int:
        return value

    @property
    def value(self) -> int:
        return 5

    class Inner:
        def method(self) -> str:
            return "inner"


@functools.lru_cache
def cached(value: int) -> int:
    return value


def fail(value: int) -> float:
    return value / 0


class Unprintable:
    def __format__(self, spec: str) -> str:
        raise KeyError("cannot be formatted")
