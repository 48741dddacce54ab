"""Arguments are hidden; what was started is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import meta, run

from memdeep.model import Exit, Process
from memdeep.model.redaction import first_word, redacted, without_arguments
from memdeep.model.statement import state
from memdeep.rundir.meta import SeenProcess, decode_meta, encode_meta


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["job.py"], ("job.py",)),
        (["job.py", "--token", "x"], ("job.py", "…")),
        (["-m", "package.tool"], ("-m", "package.tool")),
        (["-m", "package.tool", "x"], ("-m", "package.tool", "…")),
        (["-c", "print('x')"], ("-c", "…")),
        ([], ()),
    ],
)
def test_what_was_started_stays(command: list[str], shown: tuple[str, ...]) -> None:
    assert without_arguments(command) == shown
    assert without_arguments(shown) == shown


@pytest.mark.parametrize(
    ("command", "shown"),
    [(None, None), ("worker", "worker"), ("python job.py --token x", "python …")],
)
def test_of_a_process_its_first_word_stays(command: str | None, shown: str | None) -> None:
    assert first_word(command) == shown


def test_a_run_loses_the_arguments_of_all_its_processes() -> None:
    whole = run(processes=(Process(1, None, "python job.py --token x", None, 0),))
    assert redacted(whole).command == ("prog.py", "…")
    assert [process.command for process in redacted(whole).processes] == ["python …"]


def test_a_program_put_in_its_place_loses_its_arguments_too() -> None:
    end = Exit(0, None, "completed", (STARTED_ANOTHER, state("exit.not_the_way_of_python")))
    assert redacted(run(exit=end)).exit == replace(end, evidence=(ANOTHER, end.evidence[1]))
    assert redacted(run(exit=None)).exit is None


STARTED_ANOTHER = state("exit.exec", after_s=0.5, command="python job.py --token x")
ANOTHER = state("exit.exec", after_s=0.5, command="python …")
FACTS = meta(
    command=("job.py", "--token"),
    processes=(SeenProcess(1, None, "python job.py --token", 4096),),
    evidence=(STARTED_ANOTHER,),
)


def test_the_facts_of_a_run_are_written_without_arguments_where_that_is_asked_for() -> None:
    assert b"--token" in encode_meta(FACTS)
    written = encode_meta(replace(FACTS, redact_args=True))
    assert b"--token" not in written
    read = decode_meta(written, Path("meta.json"))
    assert read.command == ("job.py", "…")
    assert read.processes[0].command == "python …"
    assert read.evidence == (ANOTHER,)
    assert read.redact_args
