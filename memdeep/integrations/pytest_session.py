"""One session of pytest: who records in it, and the summary at its end.

The process of the tests records itself. Under pytest-xdist each worker does, into a directory
within the run of the controller, which records nothing of itself; the report is one for all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.integrations import limits
from memdeep.integrations.pytest_budgets import Budgets
from memdeep.integrations.reporting import Answer, Reporter
from memdeep.record.how import NONE, HowToRecord
from memdeep.record.session import Session
from memdeep.record.tree import Tree
from memdeep.rundir import births
from memdeep.rundir.directory import RunDirectory
from memdeep.text.safe import plain

KEY = "memdeep"  # of what controller and workers tell each other
NAME = "pytest"
BUDGETS = "memdeep-budgets"


def how_to_record(config: pytest.Config) -> HowToRecord:
    """Return how this session is recorded: its own processes, by the lines of Python."""
    deep = bool(config.getoption("memdeep_deep"))
    return DEFAULTS.but(native=False, trace_python_allocators=deep, children=NONE)


def refuse_others(config: pytest.Config) -> None:
    """Raise UsageError if pytest-memray is to trace as well: there can be but one tracker."""
    if config.getoption("memray", False):
        error = MemdeepError(
            "--memray traces the tests already, and there can be but one tracer.",
            "Leave one of --memray and --memdeep out.",
            EXIT_USAGE,
        )
        raise pytest.UsageError(limits.worded(error))


class Main:
    """The process that pytest was started as: of the tests, or the controller of the workers."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises UsageError."""
        self._config = config
        self._reporter = Reporter()
        self._how = how_to_record(config)
        self._budgets = Budgets(config, self._reporter, self._how)
        self._recording: Recording | None = None
        self._tests: dict[str, None] = {}
        self._judged: dict[str, Any] = {}
        self._answer: Answer | None = None
        self._path = Path()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Begin to record. Raises UsageError."""
        config = self._config
        is_controller = config.pluginmanager.hasplugin("dsession")
        try:
            where = _directory(str(config.getoption("memdeep")))
            options = Options(self._how, where, NAME, force=True, others_only=is_controller)
            self._recording = Recording(options)
        except MemdeepError as error:
            raise pytest.UsageError(limits.worded(error)) from error
        assert self._recording.run.path is not None
        self._path = self._recording.run.path.absolute()
        if is_controller:
            RunDirectory(self._path).claims.touch(mode=0o600)
            return
        self._budgets.begin(self._recording.session, self._path)
        config.pluginmanager.register(self._budgets, BUDGETS)

    def pytest_report_header(self) -> str:
        return f"memdeep: {plain(str(self._path))}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist where to record."""
        node.workerinput[KEY] = str(self._path)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has told at its end, if it came to it."""
        self._judged.update(getattr(node, "workeroutput", {}).get(KEY, {}))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tests[nodeid] = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the recording, behind the teardown of the last fixtures, and make its report."""
        if self._recording is None:
            return
        self._recording.stop()
        self._recording = None
        self._judged.update(self._budgets.judged)
        self._answer = self._reporter.ask(
            "report", path=str(self._path), tests=[*self._tests], judged=self._judged
        )
        self._reporter.close()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._answer is None:
            return
        terminalreporter.section("memdeep")
        for line in self._answer.told:
            terminalreporter.line(line)
        for line in self._answer.problems:
            terminalreporter.line(line, yellow=True)


class Worker:
    """A worker of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises UsageError."""
        self._config = config
        self._reporter = Reporter()
        self._how = how_to_record(config)
        self._budgets = Budgets(config, self._reporter, self._how)
        self._session: Session | None = None
        self._tree: Tree

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Record this process as one of the controller's run, if there may be one more."""
        run_dir = self._config.workerinput[KEY]  # type: ignore[attr-defined]
        self._tree = Tree(run_dir, self._how)
        own = self._tree.new_directory()
        self._tree.born(births.EXEC, own)
        if own is None:
            return
        self._session = Session(self._how.but(run_dir=own), self._tree)
        self._session.start()
        self._budgets.begin(self._session, Path(run_dir))
        self._config.pluginmanager.register(self._budgets, BUDGETS)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        if self._session is None:
            return
        self._tree.ended(os.getpid(), 0)
        self._session.stop(None, waits=False)
        self._session = None
        self._config.workeroutput[KEY] = self._budgets.judged  # type: ignore[attr-defined]
        self._reporter.close()


def _directory(given: str) -> Path | None:
    """Return the directory that is given; None for one by the time. Raises MemdeepError.

    An earlier run in it is replaced, and nothing else.
    """
    if not given:
        return None
    path = Path(given)
    is_free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not (is_free or RunDirectory(path).journal.is_file()):
        raise MemdeepError(
            f"{given} exists already, and is no run of memdeep's.",
            "Name another directory, as in --memdeep=DIR, or write --memdeep behind the tests.",
            EXIT_USAGE,
        )
    return path
