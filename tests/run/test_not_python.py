"""A file that is no Python program is called by its name, and what to type instead is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from factories import ANY_TEXT
from hypothesis import given
from hypothesis import strategies as st

from memdeep.errors import ProgramError
from memdeep.record.program import WhatToRun
from memdeep.run import not_python
from memdeep.run.program import check_program

GIVE = "Give memdeep the Python program that it starts: memdeep run script.py, or -m MODULE."
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def refused(path: Path, *arguments: str) -> tuple[str, str]:
    with pytest.raises(ProgramError) as caught:
        check_program(WhatToRun(WhatToRun.SCRIPT, str(path), arguments))
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "sentence", "hint"),
    [
        (
            "run",
            '#!/bin/sh\ncd 7days\nexec python -m app.main "$@"\n',
            "{} is a script for sh, not for Python.",
            "It starts Python in line 3. Type: memdeep run python -m app.main",
        ),
        (
            "run",
            "#!/usr/bin/env -S bash -e\n# python old.py\n/opt/bin/python3.11 -u x.py $@\n",
            "{} is a script for bash, not for Python.",
            "It starts Python in line 3. Type: memdeep run python3.11 -u x.py",
        ),
        (
            "run.sh",
            'python "$HOME/x.py"\n',
            "{} is a script for sh, not for Python.",
            'Give memdeep the Python program that it starts in line 1: python "$HOME/x.py"',
        ),
        ("run", "#!/bin/zsh\n1abc\n", "{} is a script for zsh, not for Python.", GIVE),
        (
            "tool",
            '#!/usr/bin/env bash\nexec "/root/.pyenv/libexec/pyenv" exec "$program" "$@"\n',
            "{} is a script for bash, not for Python.",
            "Give memdeep the script behind it: memdeep run $(pyenv which tool)",
        ),
        ("app", "\x7fELF\2\1\1\0", "{} is a compiled program, not a Python script.", GIVE),
        (
            "old.pyc",
            "\x16\r\r\n\0\0",
            f"{{}} was compiled by another version of Python than {VERSION}.",
            "Give its .py file, or run memdeep with the Python that compiled it.",
        ),
        (
            "study.ipynb",
            '{"cells": [], "x": null}',
            "{} is a notebook, not a Python script.",
            "Convert it first: jupyter nbconvert --to script {}",
        ),
        (
            "data.gz",
            "\x1f\0\0",
            "{} is a binary file, not a Python script.",
            "Give a .py file, -m MODULE or -c CODE.",
        ),
    ],
)
def test_what_it_is_and_what_to_type(
    tmp_path: Path, name: str, content: str, sentence: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    assert refused(path) == (sentence.format(path), hint.format(path))


@pytest.mark.parametrize("first", ["", "#!/usr/bin/env python3\n", "#!/opt/python -u\n"])
def test_a_mistake_in_a_python_script_stays_one(tmp_path: Path, first: str) -> None:
    (tmp_path / "x.py").write_text(f"{first}def broken(:\n")
    assert "is not valid Python" in refused(tmp_path / "x.py")[0]


def test_a_script_that_is_python_and_shell_at_once_is_run(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\npass\n")
    check_program(WhatToRun(WhatToRun.SCRIPT, str(tmp_path / "x"), ()))


def test_a_console_script_of_another_environment(tmp_path: Path) -> None:
    script = "#!{}/bin/python\nimport sys\nfrom not_here.cli import main\nsys.exit(main())\n"
    (tmp_path / "tool").write_text(script.format("/other"))
    assert refused(tmp_path / "tool") == (
        f"{tmp_path}/tool starts not_here, which is not installed for {sys.executable}.",
        "Install memdeep in the environment of the script, and type: "
        f"/other/bin/python -m memdeep run {tmp_path}/tool",
    )
    (tmp_path / "not_here").mkdir()  # beside the script it is found
    check_program(WhatToRun(WhatToRun.SCRIPT, str(tmp_path / "tool"), ()))


def test_the_name_of_a_command_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, content in (
        ("tool", "#!/opt/python\npass\n"),
        ("app", "\x7fELF"),
        ("sh", "#!/bin/ksh"),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    assert refused(Path("tool"), "a b") == (
        f"There is no file tool here; the command of this name is {tmp_path}/tool.",
        f"Type: memdeep run {tmp_path}/tool 'a b'",
    )
    assert refused(Path("app")) == (
        f"{tmp_path}/app is a compiled program, not a Python script.",
        GIVE,
    )
    assert refused(Path("sh"))[0] == f"{tmp_path}/sh is a script for ksh, not for Python."
    assert refused(Path("neither"))[0] == "There is no file neither."


@given(name=ANY_TEXT, source=st.binary() | st.text().map(lambda text: f"#!{text}".encode()))
def test_any_file_has_one_sentence_or_none(name: str, source: bytes) -> None:
    for fault in (not_python.certain_fault, not_python.likely_fault):
        found = fault(Path(name.replace("\0", "") or "x"), source)
        assert found is None or all(found)
