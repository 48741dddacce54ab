"""The pytest plugin: its options and its markers, and who takes part in a session.

pytest loads this module at every start, for all who have memdeep installed. So it imports nothing
that they may not need, and knows only what every version of pytest has.
"""

from __future__ import annotations

from memdeep.record import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest

SESSION = "memdeep-session"
PHASES = "memdeep-phases"
CHOICES = ("tests", "all")
REPEATS = 6  # of a test that is checked for leaks
# The limits of all tests, in the configuration file; those of a mark come before them.
DEFAULTS = {
    "memdeep_max_growth": "growth of the heap by a test",
    "memdeep_max_rise": "height of a test's highest heap above the heap at its start",
    "memdeep_max_allocations": "number of allocations in a test",
    "memdeep_no_leak": "true to repeat each test, and fail those that leave more each time",
}
MARK = (
    "memdeep(max_growth=None, max_rise=None, max_allocations=None, no_leak=False): limits on the "
    "memory of a test; see --memdeep"
)
OTHERS = {  # of pytest-memray's markers, which are understood where its own plugin is not there
    "limit_memory": "limit_memory(memory_limit): limit on the heap of a test; see --memdeep",
    "limit_leaks": "limit_leaks(location_limit): limit on what a test leaks; see --memdeep",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, and the keys of the configuration file."""
    group = parser.getgroup("memdeep", "memory of the tests (memdeep)")
    group.addoption(
        "--memdeep",
        metavar="DIR",
        nargs="?",
        const="",
        help="record the memory of the tests into DIR, one page for all; the default is a "
        "directory in memdeep-runs",
    )
    group.addoption(
        "--memdeep-phases",
        choices=CHOICES,
        default=CHOICES[-1],
        help="phases of the page: tests, or all: the fixtures, setup, call and teardown too",
    )
    group.addoption(
        "--memdeep-repeat",
        metavar="N",
        type=int,
        default=REPEATS,
        help=f"how often to run a test that is checked for leaks (default: {REPEATS})",
    )
    group.addoption(
        "--memdeep-deep",
        action="store_true",
        help="trace every small object of Python, at about twice the cost",
    )
    for name, figure in DEFAULTS.items():
        parser.addini(name, f"{figure}; for all tests, with --memdeep", default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Register what takes part in this session, if anything does."""
    config.addinivalue_line("markers", MARK)
    if not config.pluginmanager.hasplugin("memray"):
        for mark in OTHERS.values():
            config.addinivalue_line("markers", mark)
    if not api.is_recording():
        if config.getoption("memdeep") is None:
            return
        from memdeep.integrations.pytest_session import Main, Worker, refuse_others

        refuse_others(config)
        taking_part = Worker if hasattr(config, "workerinput") else Main
        config.pluginmanager.register(taking_part(config), SESSION)
    from memdeep.integrations.pytest_phases import Phases

    config.pluginmanager.register(Phases(config.getoption("memdeep_phases") == "all"), PHASES)
