"""Holds single tests against their limits: each gets a recording of its own, of every object.

Without that, what a test is seen to allocate depends on the tests before it, whose arenas it takes
up. A test that exceeds a limit fails. Leaks are looked for in repeats of the whole test, with its
setup and its teardown, before it is run for its result.
"""

from __future__ import annotations

import copy
import gc
import os
import shutil
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from memdeep.errors import MemdeepError
from memdeep.integrations import limits
from memdeep.integrations.limits import Limits
from memdeep.integrations.reporting import Reporter
from memdeep.record.api import phase
from memdeep.record.aside import Aside
from memdeep.record.how import HowToRecord
from memdeep.record.session import Session
from memdeep.rundir.directory import TESTS, RunDirectory

Step = Generator[None, object, object]
_WANTED: pytest.StashKey[Limits | str] = pytest.StashKey()  # or what is wrong with them
_LEAKS: pytest.StashKey[list[str]] = pytest.StashKey()


class Budgets:
    """The limits of the tests of this process; ``judged`` has the figures of those with limits."""

    def __init__(self, config: pytest.Config, reporter: Reporter, how: HowToRecord) -> None:
        """Take how the session is recorded. Raises UsageError for limits that make no sense."""
        self.judged: dict[str, Any] = {}
        self._reporter = reporter
        self._how = how.but(trace_python_allocators=True)
        self._session: Session
        self._run_dir: Path
        self._numbers = count(1)
        self._is_repeating = False  # a test, whose result is not asked for
        self._repeats = int(config.getoption("memdeep_repeat"))
        try:
            limits.check_repeats(self._repeats)
            self._of_all = limits.of_all(config.getini)
        except MemdeepError as error:
            raise pytest.UsageError(limits.worded(error)) from error

    def begin(self, session: Session, run_dir: Path) -> None:
        """Judge tests from now on; ``session`` records them into ``run_dir``."""
        self._session = session
        self._run_dir = run_dir

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start what judges while no test runs yet."""
        if any(self._wanted(item) for item in session.items):
            self._reporter.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Step:
        wanted = self._wanted(item)
        if isinstance(wanted, Limits) and wanted.leak is not None and not _only_sets_up(item):
            self._is_repeating = True
            try:
                item.stash[_LEAKS] = self._leaks(item, wanted.leak)
            finally:
                self._is_repeating = False
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)  # within those that capture output
    def pytest_runtest_call(self, item: pytest.Item) -> Step:
        if self._is_repeating:
            return (yield)
        wanted = self._wanted(item)
        if isinstance(wanted, str):
            pytest.fail(wanted, pytrace=False)
        told = item.stash.get(_LEAKS, [])
        if not wanted.call:
            result = yield
        else:
            with self._apart() as how:
                with Aside(self._session, how), phase(item.nodeid):
                    result = yield
                told = [*told, *self._judge(item, how, wanted.call)]
        if told:
            pytest.fail("\n".join(told), pytrace=False)
        return result

    def _wanted(self, item: pytest.Item) -> Limits | str:
        found = item.stash.get(_WANTED, None)
        if found is None:
            with_others = not item.config.getoption("memray", False)
            try:
                found = limits.of_test(item, self._of_all, with_others=with_others)
            except MemdeepError as error:
                found = limits.worded(error)
            item.stash[_WANTED] = found
        return found

    def _leaks(self, item: pytest.Item, most: int) -> list[str]:
        """Repeat a test, and return what is wrong with what the repeats leave.

        The first one warms up. A test that does not pass then is judged by its result alone.
        """
        if not _passes(item):
            return []
        number, passed = 1, True
        with self._apart() as how:
            with Aside(self._session, how):
                while passed and number <= self._repeats:
                    with phase(item.nodeid):
                        passed = _passes(item)
                        gc.collect()
                    number += 1
            if passed:
                return self._judge(item, how, {"no-growth": most})
        return self._reporter.ask("refuse", number=number).told

    def _judge(self, item: pytest.Item, how: HowToRecord, checks: Mapping[str, int]) -> list[str]:
        """Return what a test exceeds of its limits; the page on that is kept."""
        root = str(item.config.rootpath)
        answer = self._reporter.ask(
            "judge",
            path=how.run_dir,
            words=how.to_words(),
            name=item.nodeid,
            limits=checks,
            roots=[root, os.path.realpath(root)],
        )
        if "no-growth" not in checks and answer.figures is not None:
            self.judged[item.nodeid] = answer.figures
        return answer.told

    @contextmanager
    def _apart(self) -> Iterator[HowToRecord]:
        """Yield how to record a test apart; the directory of that stays if it has a page then."""
        path = self._run_dir / TESTS / f"{os.getpid()}-{next(self._numbers)}"
        path.mkdir(0o700, parents=True)
        run_dir = RunDirectory(path)
        run_dir.journal.touch(mode=0o600)
        try:
            yield self._how.but(run_dir=str(path))
        finally:
            if not run_dir.html.exists():
                shutil.rmtree(path, ignore_errors=True)


def _only_sets_up(item: pytest.Item) -> bool:
    return bool(item.config.getoption("setuponly", False))


def _passes(item: pytest.Item) -> bool:
    """Run a test from its setup to its teardown, and tell if it passes; nobody else hears of it.

    The fixtures that it shares with others stay set up.
    """
    properties = list(item.user_properties)
    # Another item of the same parents: so the teardown is that of the test alone.
    sibling = copy.copy(item)
    with warnings.catch_warnings(record=True):
        reports = runtestprotocol(item, log=False, nextitem=sibling)
    item.user_properties[:] = properties
    item._report_sections.clear()
    return len(reports) > 2 and all(report.passed for report in reports)
