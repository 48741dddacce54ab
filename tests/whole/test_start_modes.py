"""However `python` can start a program, memdeep can, and the program sees the same of it."""

from __future__ import annotations

import json
import py_compile
import re
import shutil
import subprocess
import sys
import zipapp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from running import PROGRAMS, TIMEOUT_S, Completed, complaint, environment

BOOTSTRAP = "memdeep/record/bootstrap.py"
SINCE_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no -P yet")
SOURCE = (PROGRAMS / "state.py").read_text("utf-8")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `state.py` in all the forms that `python` can run."""
    work = tmp_path_factory.mktemp("modes") / "work"
    shutil.copytree(PROGRAMS, work)
    (work / "folder").mkdir()
    shutil.copy(work / "state.py", work / "folder" / "__main__.py")
    zipapp.create_archive(work / "folder", work / "state.zip")
    zipapp.create_archive(work / "folder", work / "state.pyz", interpreter=sys.executable)
    py_compile.compile(str(work / "state.py"), str(work / "state.pyc"))
    (work / "whole").mkdir()
    shutil.copy(work / "state.py", work / "whole" / "__main__.py")
    (work / "whole" / "__init__.py").touch()
    return work


def start(
    words: Sequence[str],
    work: Path,
    options: Sequence[str] = (),
    *,
    memdeep: Sequence[str] | None = None,
    env: dict[str, str] | None = None,
    source: str = SOURCE,
) -> Completed:
    """Run `python OPTIONS WORDS`; with ``memdeep``, its options, the words by `memdeep run`."""
    ours: list[str] = []
    if memdeep is not None:
        run_dir = str(work.parent / "run")
        ours = ["-m", "memdeep", "run", "--no-report", "--force", "-o", run_dir, *memdeep]
    return subprocess.run(
        [sys.executable, *options, *ours, *words],
        cwd=work,
        env=environment() if env is None else env,
        input=source.encode(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def state(completed: Completed) -> dict[str, Any]:
    """What `state.py` showed, without what it need not have in common with plain `python`.

    The stacks are without our one frame, which must be the outermost.
    """
    assert completed.returncode == 0, completed.stderr.decode()
    shown = dict(json.loads(line) for line in completed.stdout.splitlines())
    if shown["stack"][-1].endswith(BOOTSTRAP):
        del shown["stack"][-1]
        assert BOOTSTRAP in shown["printed stack"].pop(0)
    assert BOOTSTRAP not in str(shown)
    return shown


def assert_same_state(
    words: Sequence[str], work: Path, options: Sequence[str] = (), **given: Any
) -> None:
    plain = state(start(words, work, options, **given))
    ours = state(start(words, work, options, memdeep=["--quiet"], **given))
    # Recording needs modules of its own; none that the program would find may be missing.
    assert set(plain.pop("modules")) - set(ours.pop("modules")) == set()
    assert ours == plain


@pytest.mark.parametrize(
    "words",
    [
        ("state.py",),
        ("./elsewhere/../state.py", "-o", "x"),
        ("state.pyc", "a"),
        ("-",),
        ("-", "-m", "a"),
        ("-m", "state", "a"),
        ("-m", "whole", "--", "a"),
        ("-c", SOURCE, "-c"),
        ("folder", "a"),
        ("folder/",),
        (".//folder",),
        ("state.zip", "a"),
        ("state.pyz",),
    ],
    ids=lambda words: " ".join(words)[:20],
)
def test_program_sees_the_same(places: Path, words: tuple[str, ...]) -> None:
    assert_same_state(words, places)


def test_working_directory_with_a_main(places: Path) -> None:
    assert_same_state((".",), places / "folder")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-X", "dev", "-W", "error", "-O"), ("state.py", "-X")),
        (("-Xutf8", "-Wdefault", "-Wignore::UserWarning", "-OO"), ("-m", "state")),
        (("-I",), ("folder",)),
        (("-I",), ("-m", "state")),
        (("-E", "-s"), ("-",)),
        (("-u", "-B", "-b"), ("-m", "state")),
        (("-Xfaulthandler", "-Xno_debug_ranges", "-Xpycache_prefix=elsewhere"), ("state.py",)),
        (("--check-hash-based-pycs", "always", "-q"), ("folder",)),
        pytest.param(("-P",), ("-",), marks=SINCE_3_11),
        pytest.param(("-P",), ("state.py",), marks=SINCE_3_11),
    ],
)
def test_options_of_the_interpreter_are_handed_on(
    places: Path, words: tuple[str, ...], options: tuple[str, ...]
) -> None:
    plain = start(words, places, options)
    (places / "memdeep.toml").unlink(missing_ok=True)
    given = start(words, places, memdeep=["--quiet", "--python-args", " ".join(options)])
    assert given.stderr == plain.stderr
    if plain.returncode:  # as when `-I` hides the module
        assert given.returncode == plain.returncode
        return
    expected, ours = state(plain), state(given)
    assert set(expected.pop("modules")) - set(ours.pop("modules")) == set()
    assert ours == expected
    if {"-I", "-P", "-E"}.isdisjoint(options):  # then `-m memdeep` might not be found
        assert_same_state(words, places, options)


@pytest.mark.parametrize(
    ("options", "words"),
    [((), ("state.py", "-u")), (("-O", "-Xutf8"), ("-m", "state", "a")), (("-B",), ("-",))],
)
def test_the_word_python_may_stay(
    places: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    plain = state(start(words, places, options))
    ours = state(start([sys.executable, *options, *words], places, memdeep=["--quiet"]))
    assert set(plain.pop("modules")) - set(ours.pop("modules")) == set()
    assert ours == plain


def test_options_written_together_are_handed_on(places: Path) -> None:
    run_dir = str(places.parent / "run")
    words = ["-OBm", "memdeep", "run", "--quiet", "--no-report", "--force", "-o", run_dir]
    ours = state(start(["state.py"], places, words))
    plain = state(start(["state.py"], places, ["-OB"]))
    assert ours["flags"] == plain["flags"]
    assert ours["argv"] == plain["argv"]


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONOPTIMIZE": "1", "PYTHONWARNINGS": "error"},
        {"PYTHONUTF8": "1", "PYTHONIOENCODING": "latin-1:replace"},
        {"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "7", "PYTHONNOUSERSITE": "1"},
        {"PYTHONDEVMODE": "1"},
        {"PYTHONMALLOC": "malloc"},
        {"PYTHONMALLOC": "debug", "PYTHONFAULTHANDLER": "1"},
        {"PYTHONPATH": "elsewhere:/no/such/directory"},
        {"PYTHONTRACEMALLOC": "3"},
        {"LC_ALL": "C"},
        {"LC_ALL": "", "LANG": ""},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_variables_of_the_interpreter_have_their_effect(
    places: Path, variables: dict[str, str]
) -> None:
    assert_same_state(("state.py",), places, env=environment(**variables))


def test_empty_environment(places: Path) -> None:
    """As cron or a container gives it: Python itself sets LC_CTYPE then, and UTF-8 mode."""
    assert_same_state(("state.py",), places, env={})


@pytest.mark.parametrize(
    "source",
    [
        "def fail():\n    raise ValueError('ü')\nfail()\n",
        "import sys\nprint(sys.stdin.read(), sys.argv)\nsys.exit(3)\n",
        "print('unfinished'\n",
        "",
    ],
    ids=["failing", "reads on", "syntax error", "empty"],
)
def test_program_on_stdin_behaves_the_same(places: Path, source: str) -> None:
    plain = start(("-", "a"), places, source=source)
    ours = start(("-", "a"), places, memdeep=["--quiet"], source=source)
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr == plain.stderr


@pytest.mark.parametrize("place", ["folder", "state.zip"])
def test_failure_in_a_directory_looks_the_same(places: Path, place: str, tmp_path: Path) -> None:
    (tmp_path / "failing").mkdir()
    (tmp_path / "failing" / "__main__.py").write_text("def fail():\n    1 / 0\nfail()\n")
    target = "failing"
    if place != "folder":
        target = "failing.zip"
        zipapp.create_archive(tmp_path / "failing", tmp_path / target)
    plain = start((target,), tmp_path)
    ours = start((target,), tmp_path, memdeep=["--quiet"])
    assert b"ZeroDivisionError" in plain.stderr
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )


def test_marks_reach_the_main_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text("def work():\n    pass\n\nwork()\n")
    marks = ["--quiet", "--mark-call", "__main__:work", "--mark-line", "__main__.py:4=last"]
    assert start(("folder",), tmp_path, memdeep=marks).returncode == 0
    journal = (tmp_path.parent / "run" / "journal.jsonl").read_text("utf-8")
    assert ('"l":"work"' in journal, '"l":"last"' in journal) == (True, True)


@pytest.mark.parametrize(
    "text",
    ["-h", "-X", "script.py", "-m json", "-c pass", "-x", "'unclosed", "--version", "-W"],
)
def test_what_is_no_option_of_the_interpreter_is_refused(tmp_path: Path, text: str) -> None:
    refused = start(("-c", "pass"), tmp_path, memdeep=["--python-args", text])
    assert refused.returncode == 2
    assert complaint(refused)[0].startswith(f"--python-args '{text}': ")
    assert list(tmp_path.iterdir()) == []


def test_directory_and_zip_file_without_a_main_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.py").touch()
    shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "folder")
    for target, kind in (("folder", "directory"), ("archive.zip", "zip file")):
        refused = start((target,), tmp_path, memdeep=[])
        assert refused.returncode == 126
        assert complaint(refused)[0] == (
            f"{target} is a {kind} without a __main__.py, not a program."
        )


# Whose line is named


TOOL = {
    "bin/tool": "import sys\nfrom tool.cli import main\nsys.exit(main())\n",
    "site-packages/tool/__init__.py": "",
    "site-packages/tool/__main__.py": "from tool.cli import main\nmain()\n",
    "site-packages/tool/cli.py": (
        "import runpy\nimport sys\nfrom tool.core import load\nKEPT = []\n"
        "def main():\n"
        "    if sys.argv[1:]:\n        runpy.run_path(sys.argv[1])\n"
        "    else:\n        KEPT.append(load())\n"
    ),
    "site-packages/tool/core.py": (
        "from helper import fill\ndef load():\n    return fill(30_000_000)\n"
    ),
    "site-packages/helper.py": "def fill(size):\n    return bytearray(size)\n",
    "plugin.py": "from tool.core import load\n\n\nKEPT = load()\n",
    "generated.py": (
        "import helper\nspace = {'fill': helper.fill}\n"
        "exec('def make():\\n    return fill(30_000_000)', space)\n\n\n"
        "KEPT = space['make']()\n"
    ),
}


def named_line(words: Sequence[str], work: Path) -> str:
    """The line that the first finding on the terminal names."""
    for name, content in TOOL.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(content)
    completed = subprocess.run(
        [sys.executable, "-m", "memdeep", "run", "--no-native", "-o", "run", *words],
        cwd=work,
        env=environment(PYTHONPATH=str(work / "site-packages"), COLUMNS="200"),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    headline = completed.stderr.decode().partition("\u25b6")[2]
    found = re.search(r"[\w<>]+(\.py)?:\d+", headline)
    assert found is not None, completed.stderr.decode()
    return found[0]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("bin/tool",), "core.py:3"),
        (("-m", "tool"), "core.py:3"),
        (("bin/tool", "plugin.py"), "plugin.py:4"),
        (("-m", "tool", "plugin.py"), "plugin.py:4"),
        (("generated.py",), "generated.py:6"),
        (("-c", "from helper import fill\nKEPT = fill(30_000_000)"), "<string>:2"),
    ],
)
def test_the_line_is_the_programs_own(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    """Of an installed tool that is its package; of a program that it runs, that program."""
    assert named_line(words, tmp_path) == line
