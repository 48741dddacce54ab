"""Completion in each shell: what the shell itself offers, and that it follows the options."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from memdeep.cli import arguments, completion, help

SCRIPTS = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}


def offered(shell: str, line: str, work: Path) -> set[str]:
    """What ``shell`` offers at the end of ``line``."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script = work / f"completion.{shell}"
    script.write_text(SCRIPTS[shell](), "utf-8")
    if shell == "fish":
        asked = f"source {script}; complete -C '{line}'"
    else:
        words = " ".join(f"'{word}'" for word in line.split(" "))
        asked = (
            f"source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
            "_memdeep; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
    done = subprocess.run(
        [shell, "-c", asked], cwd=work, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return {text.partition("\t")[0].rstrip("/") for text in done.stdout.splitlines() if text}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_takes_the_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell](), "utf-8")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", help.COMMANDS)
@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_option_of_every_command_is_in_the_script(shell: str, command: str) -> None:
    script = SCRIPTS[shell]()
    assert command in script
    for action in arguments.parser(command).options():
        for name in action.option_strings:
            word = name.lstrip("-") if shell == "fish" else name
            assert word in script


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize(
    ("line", "some", "none"),
    [
        ("memdeep r", {"run", "report", "runs"}, {"watch"}),
        ("memdeep run --mem", {"--memory-limit"}, {"--lang"}),
        ("memdeep report --lang ", {"en", "zh", "both"}, {"--lang"}),
        ("memdeep report ", {"memdeep-runs/job-1"}, set()),
        ("memdeep completion ", {"bash", "zsh", "fish"}, set()),
        ("memdeep help wa", {"watch"}, {"run"}),
    ],
)
def test_a_shell_offers_what_fits(
    shell: str, line: str, some: set[str], none: set[str], tmp_path: Path
) -> None:
    (tmp_path / "memdeep-runs" / "job-1").mkdir(parents=True)
    found = offered(shell, line, tmp_path)
    assert some <= found
    assert not none & found


def test_what_stands_behind_the_program_is_its_own(tmp_path: Path) -> None:
    assert offered("bash", "memdeep run --lang zh job.py --q", tmp_path) == set()
    assert "--quiet" in offered("bash", "memdeep run --lang zh --q", tmp_path)
