"""A function of each kind, to be wrapped and compared with itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any


def plain(first: int, *rest: int, flag: bool = False, **others: str) -> tuple[Any, ...]:
    """The doc of plain."""
    return first, rest, flag, others


async def coroutine(value: int) -> int:
    """The doc of coroutine."""
    await asyncio.sleep(0)
    return value


def generator(value: int) -> Generator[int, int, str]:
    """The doc of generator."""
    received = yield value
    received = yield received
    return f"got {received}"


async def async_generator(value: int) -> AsyncGenerator[int, int]:
    """The doc of async_generator."""
    received = yield value
    yield received
