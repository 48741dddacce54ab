"""`--mark-call`: spans around the calls of functions of all kinds, which look as before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from marking import assert_same_output, run_marked
from running import environment, memdeep_command, read_json

LIBRARY = "marks_library"


def calls(*marks: str) -> list[str]:
    return [word for mark in marks for word in ("--mark-call", mark)]


def test_program_behaves_the_same(work: Path) -> None:
    """Output, signatures, sources, pickles, loaders, and the traceback of its end."""
    names = ("load", "fetch", "numbers", "later", "opened", "cached", "fail", "Service.method")
    marks = calls(
        *(f"{LIBRARY}:{name}" for name in names),
        "__main__:own",
        "__main__:outer",
        "__main__:Own.method",
        "package:x",
    )
    marked = assert_same_output(work, marks, "marks_calls.py")
    assert marked.status == 1
    assert b"RuntimeError: and it failed" in marked.stderr


def spans_of(work: Path, *marks: str) -> list[str]:
    marked = run_marked(work, calls(*marks), "marks_calls.py")
    assert marked.problems == []
    return marked.spans


def test_labels_take_arguments(work: Path) -> None:
    spans = spans_of(work, f"{LIBRARY}:load={{0}} {{1}} {{size:03d}} {{mode}}")
    assert spans[:6] == [
        ">a.json 3 003 fast",
        "<a.json 3 003 fast",
        ">b 4 004 fast",
        "<b 4 004 fast",
        ">c 3 003 slow",
        "<c 3 003 slow",
    ]


def test_a_label_that_cannot_be_filled_stays_as_it_is(work: Path) -> None:
    for label in ("{0} {missing}", "load{7}"):
        marked = run_marked(work, calls(f"{LIBRARY}:load={label}"), "marks_calls.py")
        assert marked.spans[:2] == [f">{label}", f"<{label}"]
        assert marked.problems == [
            f"--mark-call {LIBRARY}:load: no call has an argument for the label '{label}'"
        ]
    assert spans_of(work, f"{LIBRARY}:load={{0}}")[-1] == "<{0}", "its own __format__ raises"


def test_every_kind_of_function(work: Path) -> None:
    marks = [f"{LIBRARY}:{name}" for name in ("fetch", "numbers", "later", "opened")]
    assert spans_of(work, *marks) == [
        *(">marks_library.fetch", "<marks_library.fetch"),
        *(">marks_library.numbers", "<marks_library.numbers") * 2,
        *(">marks_library.later", "<marks_library.later"),
        *(">marks_library.opened", "<marks_library.opened"),
    ]


def test_methods_count_their_arguments_after_the_instance(work: Path) -> None:
    names = ("method", "of_class", "static", "inherited")
    spans = spans_of(work, *(f"{LIBRARY}:Service.{name}={name} {{0}} {{value}}" for name in names))
    expected = ["method 1 1", "of_class 2 2", "static 3 3", "inherited 4 4"]
    assert spans == [sign + label for label in expected for sign in "><"], "of Service alone"


def test_a_class_within_a_class(work: Path) -> None:
    label = "marks_library.Service.Inner.method"
    assert spans_of(work, f"{LIBRARY}:Service.Inner.method") == [f">{label}", f"<{label}"]


def test_functions_of_the_main_script(work: Path) -> None:
    spans = spans_of(
        work,
        "__main__:own=own {value}",
        "__main__:own.nested",
        "__main__:Own.method=method {0}",
        "__main__:Own.static=static {0}",
    )
    assert spans == [
        *(">own 6", ">own.nested", "<own.nested", "<own 6"),
        *(">method 7", "<method 7", ">static 8", "<static 8"),
    ]


def test_a_package_name_for_a_function_from_elsewhere(work: Path) -> None:
    (work / "front").mkdir()
    (work / "front/__init__.py").write_text("from marks_library import load\n")
    (work / "uses.py").write_text("import front\nfront.load('x')\n")
    marked = run_marked(work, calls("front:load"), "uses.py")
    assert marked.spans == [">front.load", "<front.load"]


def test_modules_of_c_and_modules_that_are_there_already(work: Path) -> None:
    (work / "uses.py").write_text(
        "import zlib, os, os.path\nzlib.compress(b'x')\nos.path.basename('a/b')\n"
    )
    marked = run_marked(
        work, calls("zlib:compress=zip", "os.path:basename={p}", "os:nothing"), "uses.py"
    )
    assert marked.spans == [">zip", "<zip", ">a/b", "<a/b"]
    assert marked.problems == ["--mark-call os:nothing: os has no nothing"]


def test_reload_marks_again(work: Path) -> None:
    (work / "uses.py").write_text(
        "import importlib, marks_library\n"
        "importlib.reload(marks_library)\nmarks_library.load('x')\n"
    )
    assert len(run_marked(work, calls(f"{LIBRARY}:load"), "uses.py").spans) == 2


def test_lazily_loaded_module(work: Path) -> None:
    (work / "uses.py").write_text(
        "import importlib.util, sys\n"
        "spec = importlib.util.find_spec('marks_library')\n"
        "spec.loader = importlib.util.LazyLoader(spec.loader)\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['marks_library'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print('not yet')\nprint(module.load('x'), type(module.__loader__))\n"
    )
    assert len(assert_same_output(work, calls(f"{LIBRARY}:load"), "uses.py").spans) == 2


@pytest.mark.parametrize("module", ["marks_calls", "tool", "tool.part"])
def test_main_module_by_name(work: Path, module: str) -> None:
    (work / "tool").mkdir()
    (work / "tool/__init__.py").write_text("def own():\n    pass\nown()\n")
    code = "def own():\n    print(__name__, __spec__.name, type(__loader__))\nown()\n"
    for name in ("__main__", "part"):
        (work / f"tool/{name}.py").write_text(code)
    marked = assert_same_output(work, calls("__main__:own"), "-m", module)
    assert marked.spans == [">own", "<own"]


def test_code_from_the_command_line(work: Path) -> None:
    code = "def work(n):\n    return n\nwork(3)\n"
    marked = assert_same_output(work, calls("__main__:work=w{n}"), "-c", code)
    assert marked.spans == [">w3", "<w3"]


def test_halves_of_pairs_stay_points(work: Path) -> None:
    """So adopted instrumentation has its phases, whatever each call's label is."""
    (work / "memory_tools.py").write_text("def memory_checkpoint(label, note=None):\n    pass\n")
    (work / "uses.py").write_text(
        "from memory_tools import memory_checkpoint\n"
        "memory_checkpoint('load_BEFORE')\nmemory_checkpoint(label='load_AFTER')\n"
        "memory_checkpoint('single')\nmemory_checkpoint('x_start', 'note')\n"
    )
    marked = run_marked(work, calls("memory_tools:memory_checkpoint={0}"), "uses.py")
    assert marked.spans == ["load_BEFORE", "load_AFTER", ">single", "<single", "x_start"]


def test_memdeeps_own_functions_are_not_marked_twice(work: Path) -> None:
    (work / "tools.py").write_text(
        "import functools\nfrom memdeep import checkpoint as memory_checkpoint, phase\n"
        "again = functools.partial(memory_checkpoint, note='x')\n"
    )
    (work / "uses.py").write_text(
        "import tools\ntools.memory_checkpoint('a')\ntools.again('b')\n"
        "with tools.phase('c'):\n    pass\n"
    )
    marks = calls("tools:memory_checkpoint={0}", "tools:again={0}", "tools:phase={0}")
    marked = run_marked(work, marks, "uses.py")
    assert marked.spans == ["a", "b", ">c", "<c"]
    assert marked.problems == []


def test_what_was_not_met_is_told(work: Path) -> None:
    marks = calls(
        "nowhere:f",
        f"{LIBRARY}:Unprintable.__format__",
        f"{LIBRARY}:Service.Inner.method",
        f"{LIBRARY}:no_such",
        f"{LIBRARY}:load.deeper",
        f"{LIBRARY}:Service",
        f"{LIBRARY}:Service.value",
        f"{LIBRARY}:cached",
        "__main__:no_such",
        "__main__:main",
    )
    (work / "uses.py").write_text("import marks_library\ndef main(): pass\n")
    prefix = f"--mark-call {LIBRARY}"
    assert run_marked(work, marks, "uses.py").problems == [
        "--mark-call nowhere:f: nowhere was never imported",
        f"{prefix}:Unprintable.__format__: Unprintable.__format__ was never called",
        f"{prefix}:Service.Inner.method: Service.Inner.method was never called",
        f"{prefix}:no_such: marks_library has no no_such",
        f"{prefix}:load.deeper: marks_library has no load.deeper",
        f"{prefix}:Service: Service is no function but a class, which is not marked",
        f"{prefix}:Service.value: Service.value is no function but a property, which is not marked",
        f"{prefix}:cached: cached is no function but a _lru_cache_wrapper, which is not marked",
        "--mark-call __main__:no_such: the main script defines no such function",
        "--mark-call __main__:main: main was never called",
    ]


def test_importing_fails_as_before(work: Path) -> None:
    """The traceback shows neither the import machinery nor us."""
    (work / "broken.py").write_text("value = 1\nvalue / 0\n")
    (work / "faulty.py").write_text("value = = 1\n")
    (work / "uses.py").write_text(
        "import sys, traceback\n"
        "try:\n    import broken\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
        "try:\n    import faulty\nexcept SyntaxError:\n    traceback.print_exc()\n"
        "import broken\n"
    )
    marks = calls("broken:f", "faulty:f")
    marks += ["--mark-line", "broken.py:2", "--mark-line", "faulty.py:1"]
    assert b"ZeroDivisionError" in assert_same_output(work, marks, "uses.py").stderr


def test_what_a_marked_c_function_allocates_is_its_callers(work: Path) -> None:
    """With memray: the wrapper is between the two, and must not be the culprit."""
    (work / "uses.py").write_text(
        "import zlib\ndata = zlib.compress(bytes(9_000_000))\nkept = zlib.decompress(data)\n"
    )
    run_dir = work.parent / "run"
    words = ("run", "--quiet", "--no-native", "-o", run_dir, *calls("zlib:decompress=unpack"))
    completed = subprocess.run(
        memdeep_command(*words, "uses.py"), cwd=work, env=environment(), capture_output=True
    )
    assert completed.returncode == 0, completed.stderr
    first = read_json(run_dir / "report.json")["findings"][0]
    assert first["culprit"]["source"] == "kept = zlib.decompress(data)"
    assert first["bytes"] == pytest.approx(9_000_000, rel=0.01)
