"""The phases of a session of pytest: the tests, their fixtures and their steps.

Whoever records the process keeps them; without a recording they do nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from memdeep.record.api import phase

Result = TypeVar("Result")
Step = Generator[None, Result, Result]
COLLECTION = "(collection)"

around = pytest.hookimpl(wrapper=True, tryfirst=True)


class Phases:
    """Makes a phase of each test; of fixtures, setup, call and teardown too with ``is_all``."""

    def __init__(self, is_all: bool) -> None:
        self._is_all = is_all

    @around
    def pytest_collection(self) -> Step[object]:
        with phase(COLLECTION):
            return (yield)

    @around
    def pytest_runtest_protocol(self, item: pytest.Item) -> Step[object]:
        with phase(item.nodeid):
            return (yield)

    @around
    def pytest_runtest_setup(self, item: pytest.Item) -> Step[object]:
        return (yield from self._step(f"setup of {item.name}"))

    @around
    def pytest_runtest_call(self, item: pytest.Item) -> Step[object]:
        return (yield from self._step(f"call of {item.name}"))

    @around
    def pytest_runtest_teardown(self, item: pytest.Item) -> Step[object]:
        return (yield from self._step(f"teardown of {item.name}"))

    @around
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Step[object]:
        return (yield from self._step(f"fixture {fixturedef.argname} [{fixturedef.scope}]"))

    def _step(self, name: str) -> Generator[None, Any, Any]:
        if not self._is_all:
            return (yield)
        with phase(name):
            return (yield)
