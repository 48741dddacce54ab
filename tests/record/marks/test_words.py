"""The words for marks: what is wrong with them, and the regular ones of `--mark-every`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from marking import assert_same_output, run_marked

from memdeep.record.marks import words


@pytest.mark.parametrize(
    "word",
    [
        "stdout:【(.+?)】",
        "stdout:a:b=c",
        "stdout:",
        "call:learning:load_config",
        "call:package.module:Class.method={0} and = and :",
        "call:__main__:f=",
        "call:__main__:f={0} {1!r:>3} {name} {config.path} {rows[0]} {{}}",
        "line:strategy.py:88",
        "line:/a b/pkg/strategy.py:88=label: with = signs",
        "line:../strategy.py:Class.method",
        "every:5",
        "every:0.25",
    ],
)
def test_good_words_pass(word: str) -> None:
    assert words.check(word) is None


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "stdout:【(",
            "--mark-stdout '【(': that is not a regular expression: missing ), unterminated "
            "subpattern at position 1",
        ),
        ("call:load_config", "--mark-call load_config: write MODULE:FUNCTION"),
        ("call:=x", "--mark-call =x: write MODULE:FUNCTION"),
        ("call::f", "--mark-call :f: '' is not a name"),
        ("call:a.py:f", None),
        ("call:a/b.py:f", "--mark-call a/b.py:f: 'a/b.py' is not a name"),
        ("call:a:f()", "--mark-call a:f(): 'f()' is not a name"),
        ("call:a:f.<locals>.g", "--mark-call a:f.<locals>.g: 'f.<locals>.g' is not a name"),
        *(
            (
                f"call:a:f={label}",
                f"--mark-call a:f={label}: '{told}' stands for no argument, which "
                "has a number, from 0 on, or a name",
            )
            for label, told in [("{}", "{}"), ("x{-1}", "{-1}"), ("{a b}", "{a b}"), ("f{", "f{")]
        ),
        ("line:a.py", "--mark-line a.py: write FILE:LINE or FILE:FUNCTION"),
        ("line::5", "--mark-line :5: write FILE:LINE or FILE:FUNCTION"),
        ("line:a.py:0", "--mark-line a.py:0: '0' is neither a line number nor a name"),
        ("line:a.py:5-9=x", "--mark-line a.py:5-9=x: '5-9' is neither a line number nor a name"),
        ("line:a.py:²", "--mark-line a.py:²: '²' is neither a line number nor a name"),
        ("every:often", "--mark-every often: that is not a number of seconds"),
        ("every:0", "--mark-every 0: that is not from 0.001 to 1000000 seconds"),
        ("every:-1", "--mark-every -1: that is not from 0.001 to 1000000 seconds"),
        ("every:inf", "--mark-every inf: that is not from 0.001 to 1000000 seconds"),
        ("every:nan", "--mark-every nan: that is not from 0.001 to 1000000 seconds"),
        ("other:x", "other:x: there is no such kind of mark"),
    ],
)
def test_bad_words_are_explained(word: str, sentence: str | None) -> None:
    assert words.check(word) == sentence
    if sentence is not None:
        with pytest.raises(ValueError, match=re.escape(sentence)):
            words.install([word])


def test_no_marks_are_no_trouble() -> None:
    assert words.install([]).unmet() == []


def test_grid_of_times(work: Path) -> None:
    (work / "sleeps.py").write_text(
        "import threading, time\n"
        "begun = time.monotonic()\n"
        "time.sleep(0.35)\n"
        "open('slept', 'w').write(str(time.monotonic() - begun))\n"
        "print(threading.active_count(), threading.enumerate())\n"
        "for thread in threading.enumerate():\n"
        "    if thread is not threading.main_thread():\n"
        "        thread.join()\n"
        "print(threading.Thread().name, threading.Thread(target=print).name)\n"
    )
    program = (work / "sleeps.py").read_text("utf-8")
    (work / "sleeps.py").write_text(re.sub("threading.enumerate..\\)\n", "1)\n", program, count=1))
    labels = assert_same_output(work, ["--mark-every", "0.1"], "sleeps.py").labels
    numbers = [int(label.removeprefix("every 0.1 s #")) for label in labels]
    assert len(numbers) >= 2
    assert numbers == sorted(set(numbers))
    least = int(float((work / "slept").read_text()) / 0.1)  # 3, or more on a busy machine
    assert least >= 3
    assert numbers[-1] in (least, least + 1), "one in between may be lost, but the grid stays"


def test_grid_does_not_keep_the_program_alive(work: Path) -> None:
    marked = assert_same_output(work, ["--mark-every", "600"], "exits.py", "three")
    assert marked.status == 3
    assert marked.labels == []
    assert marked.problems == ["--mark-every 600: the program ended before the first was due"]


def test_all_kinds_at_once_in_program_order(work: Path) -> None:
    (work / "uses.py").write_text(
        "def load(name):\n    print('[loading]')\n    return name\n\nload('a')\nprint('[done]')\n"
    )
    flags = ["--mark-stdout", r"\[(.+)\]", "--mark-call", "__main__:load={name}"]
    flags += ["--mark-line", "uses.py:3=returns"]
    assert run_marked(work, flags, "uses.py").spans == [">a", "loading", "returns", "<a", "done"]


def test_forked_child_marks_nothing(work: Path) -> None:
    (work / "uses.py").write_text(
        "import os\ndef work(who):\n    print(who, flush=True)\n"
        "pid = os.fork()\nif pid == 0:\n    work('child')\n    raise SystemExit\n"
        "os.waitpid(pid, 0)\nwork('parent')\n"
    )
    flags = ["--mark-stdout", ".+", "--mark-call", "__main__:work={0}"]
    flags += ["--mark-line", "uses.py:work=entry", "--mark-every", "600"]
    marked = assert_same_output(work, flags, "uses.py")
    assert marked.spans == [">parent", "entry", "parent", "<parent"]
