"""Threads of a run are told apart, whatever the program calls them."""

from __future__ import annotations

from factories import event

from memdeep.rundir import journal
from memdeep.rundir.threads import MAX_NAMES, ThreadNames


def named(*threads: tuple[str, int | None]) -> list[str | None]:
    names = ThreadNames()
    return [
        names.of(event(journal.POINT, n, None, th=name, ti=identifier))
        for n, (name, identifier) in enumerate(threads, 1)
    ]


def test_threads_of_one_name_get_numbers_in_the_order_of_their_checkpoints() -> None:
    found = named(("w", 8), ("MainThread", None), ("w", 9), ("w", 8), ("w", 9))
    assert found == ["w", "MainThread", "w (2)", "w", "w (2)"]


def test_a_journal_without_identifiers_keeps_its_names() -> None:
    assert named(("w", None), ("v", None), ("w", None)) == ["w", "v", "w"]


def test_endless_threads_are_not_all_kept() -> None:
    names = ThreadNames()
    for number in range(1, 2 * MAX_NAMES):
        names.of(event(journal.POINT, number, None, th=f"Thread-{number}", ti=number))
    assert len(names._names) <= MAX_NAMES
