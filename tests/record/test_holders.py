"""Planted holders are named as a reader of the program would name them; dominators are exact."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import environment

from memdeep.errors import CaptureError
from memdeep.model.graph import GARBAGE, NAMED, NO_ROW, Graph, Holder
from memdeep.rundir import graph
from memdeep.rundir.directory import RunDirectory

walker = pytest.importorskip("memdeep.record._holders")

MODULE = """
import collections, contextvars, functools, gc, os, sys, threading, time, weakref
from memdeep.record import _holders

def rows():
    return [float(n) for n in range(8000)]

class Plain:
    pass

class Slotted:
    __slots__ = ("kept",)

{planted}

def look(path):
    main = sys.modules["__main__"]
    others = [module for module in sys.modules.values() if module is not main]
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    import fcntl
    fcntl.flock(file, fcntl.LOCK_EX)
    frames = list(sys._current_frames().values())
    where = [main, *others], 0, frames, 60, {shows:d}, b"job.py:5"
    _holders.snapshot(file, 7, time.monotonic_ns(), *where)
    os.close(file)

{looks}
"""


def looked_at(
    tmp_path: Path, planted: str, looks: str = "look(sys.argv[1])", *, shows_values: bool = True
) -> tuple[Graph, str]:
    """Run a program that plants holders, and looks at itself; return its output as well."""
    program = tmp_path / "job.py"
    program.write_text(MODULE.format(planted=planted, looks=looks, shows=shows_values))
    run_dir = RunDirectory(tmp_path)
    done = subprocess.run(
        [sys.executable, program, run_dir.graph(7)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    graph.wait(run_dir)
    return graph.read(run_dir.graph(7)), done.stdout


def of_floats(found: Graph) -> list[Holder]:
    """Return the rows of the planted lists, by their size."""
    lists = [row for row in found.rows if found.types[row.kind] == "list"]
    rows = [row for row in lists if row.own_bytes > 8000 * 8]
    return sorted(rows, key=lambda row: -row.retained_bytes)


PLANTED = {
    "kept = rows()": "__main__.kept",
    "kept = {'BTC': {4: rows()}}": "__main__.kept['BTC'][4]",
    "kept = {('a', 1): rows()}": "__main__.kept[('a', 1)]",
    "class Registry: items = [None, rows()]": "__main__.Registry.items[1]",
    "def maker():\n    held = rows()\n    return lambda: held\nkept = maker()": (
        "__main__.maker.<locals>.<lambda>.__closure__[0].cell_contents"
    ),
    "def job(held=rows()): pass": "__main__.job.__defaults__[0]",
    "def job(*, held=rows()): pass": "__main__.job.__kwdefaults__['held']",
    "kept = functools.partial(print, rows())": "__main__.kept.args[0]",
    "kept = Plain(); kept.held = rows()": "__main__.kept.held",
    "kept = Slotted(); kept.kept = rows()": "__main__.kept.kept",
    "kept = Plain(); kept.held = rows(); kept = [kept]": "__main__.kept[0].held",
    "kept = collections.deque([1, rows()])": "__main__.kept[1]",
    "kept = Plain(); kept.held = rows()\nkept = Plain.__init__.__get__(kept)": (
        "__main__.kept.__self__.held"
    ),
    "@functools.lru_cache(None)\ndef cached(n): return rows()\ncached(1)": (
        "unbounded lru_cache of __main__.cached[1]"
    ),
    "class Lazy:\n    @functools.cached_property\n    def held(self): return rows()\n"
    "kept = Lazy(); kept.held": "__main__.kept.held",
    "def steps():\n    held = rows()\n    yield\n    yield held\nkept = steps(); next(kept)": (
        "suspended generator steps() local 'held'"
    ),
    "async def wait():\n    held = rows()\n    await stop()\n    return held\n"
    "class stop:\n    def __await__(self): yield\n"
    "kept = wait(); kept.send(None)\nimport atexit; atexit.register(kept.close)": (
        "suspended coroutine wait() local 'held'"
    ),
}


@pytest.mark.parametrize(("planted", "path"), PLANTED.items(), ids=PLANTED.values())
def test_a_planted_holder_is_named(tmp_path: Path, planted: str, path: str) -> None:
    found, _ = looked_at(tmp_path, planted)
    (row,) = of_floats(found)
    assert row.path == path
    assert row.objects >= 1
    assert path.endswith(row.label)


def test_the_local_of_an_exception_that_is_kept_is_named(tmp_path: Path) -> None:
    planted = (
        "def fails():\n    held = rows()\n    raise ValueError\nkept = []\n"
        "try:\n    fails()\nexcept ValueError as error: kept.append(error)\n"
    )
    (row,) = of_floats(looked_at(tmp_path, planted)[0])
    assert row.path.startswith("__main__.kept[0].__traceback__.tb_next.tb_frame fails() at job.py:")
    assert row.path.endswith(" local 'held'")


def test_the_local_of_a_function_that_runs_is_named_and_let_go(tmp_path: Path) -> None:
    looks = (
        "def runs():\n    held = rows()\n    kept = weakref.ref(Plain())\n    one = Plain()\n"
        "    seen = weakref.ref(one)\n    look(sys.argv[1])\n    del one\n    print(seen())\nruns()"
    )
    found, output = looked_at(tmp_path, "", looks)
    (row,) = of_floats(found)
    assert row.path.startswith("runs() at job.py:")
    assert row.label == "local 'held'"
    assert output == "None\n"


def test_the_local_of_another_thread_is_named(tmp_path: Path) -> None:
    looks = (
        "go, done = threading.Event(), threading.Event()\n"
        "def works():\n    held = rows()\n    go.set()\n    done.wait()\n"
        "thread = threading.Thread(target=works)\nthread.start()\ngo.wait()\n"
        "look(sys.argv[1])\ndone.set()\nthread.join()"
    )
    (row,) = of_floats(looked_at(tmp_path, "", looks)[0])
    assert row.path.startswith("works() at job.py:")


def test_garbage_is_found_to_the_object(tmp_path: Path) -> None:
    planted = (
        "gc.collect()\ngc.disable()\nclass Node: pass\n"
        "def leave():\n    node = Node()\n    node.me = node\n    node.held = rows()\nleave()"
    )
    found, _ = looked_at(tmp_path, planted)
    states = [
        state
        for state, kind in zip(found.states, found.kinds, strict=True)
        if found.types[kind] == "__main__.Node"
    ]
    assert states == [GARBAGE]
    assert (found.gc_enabled, found.gc_off_at) == (False, "job.py:5")
    assert 8000 * 24 < found.garbage_bytes < 8000 * 24 + 100_000


def test_what_is_held_twice_counts_for_neither(tmp_path: Path) -> None:
    (row,) = of_floats(looked_at(tmp_path, "class A: held = rows()\nclass B: held = A.held")[0])
    assert row.parent is not None or row.path
    found, _ = looked_at(tmp_path, "one = [rows()]\ntwo = [one[0]]")
    (row,) = of_floats(found)
    holder = found.rows[row.parent] if row.parent is not None else None
    assert holder is None or found.types[holder.kind] == "dict"


ALSO = {
    "kept = [rows()]": (0, ""),
    "one = {'x': rows()}\ntwo = {'y': one['x']}": (1, "__main__.two['y']"),
    "one = [rows()]\ntwo = [one[0]]\nthree = [one[0]]": (2, "__main__.two[0]"),
    "one = [rows()]\none[0].append(one)": (0, ""),
    "one = Plain(); one.held = rows()\ntwo = one\none.held.append(one)": (0, ""),
    "one = functools.partial(print, rows())\none.args[0].append(lambda: one)": (0, ""),
}


@pytest.mark.parametrize(("planted", "also"), ALSO.items(), ids=map(str, ALSO.values()))
def test_who_else_holds_an_object_is_said(
    tmp_path: Path, planted: str, also: tuple[int, str]
) -> None:
    (row,) = of_floats(looked_at(tmp_path, planted)[0])
    assert (row.others, row.also) == also


def test_a_function_that_runs_may_hold_an_object_too(tmp_path: Path) -> None:
    looks = "def runs():\n    held = kept[0]\n    look(sys.argv[1])\nruns()"
    (row,) = of_floats(looked_at(tmp_path, "kept = [rows()]", looks)[0])
    assert row.others == 1
    paths = sorted([row.path, row.also])
    assert paths[0] == "__main__.kept[0]"
    assert paths[1].startswith("runs() at job.py:")


def test_a_chain_folds(tmp_path: Path) -> None:
    planted = "kept = None\nfor _ in range(50_000):\n    one = Plain(); one.next = kept; kept = one"
    found, _ = looked_at(tmp_path, planted)
    assert len(found.rows) < 500


def test_keys_are_left_out_where_values_are_private(tmp_path: Path) -> None:
    found, _ = looked_at(tmp_path, "kept = {'secret': rows()}", shows_values=False)
    assert [row.path for row in of_floats(found)] == ["__main__.kept[…]"]
    assert all("secret" not in row.path for row in found.rows)


def test_the_program_never_hears_of_the_child(tmp_path: Path) -> None:
    looks = (
        "import signal\ntold = []\nsignal.signal(signal.SIGCHLD, lambda *_: told.append(1))\n"
        "look(sys.argv[1])\n"
        "try: print(os.waitpid(-1, 0))\nexcept ChildProcessError: print('none')\n"
        "time.sleep(0.5)\nprint(told)"
    )
    _, output = looked_at(tmp_path, "kept = rows()", looks)
    assert output == "none\n[]\n"


def test_the_columns_agree(tmp_path: Path) -> None:
    found, _ = looked_at(tmp_path, "kept = rows()")
    assert list(found.addresses) == sorted(set(found.addresses))
    by_row = [0] * len(found.rows)
    for row, size, state in zip(found.holders, found.sizes, found.states, strict=True):
        if row != NO_ROW:
            by_row[row] += size
            assert state != GARBAGE
    assert by_row == [row.own_bytes for row in found.rows]
    retained = list(by_row)
    for index in range(len(found.rows) - 1, -1, -1):
        parent = found.rows[index].parent
        if parent is not None:
            retained[parent] += retained[index]
    assert retained == [row.retained_bytes for row in found.rows]
    assert found.states.count(NAMED) > len(found.addresses) / 2


def test_rows_of_a_small_graph_are_its_only_referrers(tmp_path: Path) -> None:
    looks = (
        "held = kept['a'][0].held\n"
        "print(id(held), *(id(one) for one in gc.get_referrers(held) if one is not globals()))\n"
        "del held\nlook(sys.argv[1])"
    )
    found, output = looked_at(
        tmp_path,
        "kept = {'a': [Slotted()]}\nkept['a'][0].kept = rows()",
        looks.replace(".held", ".kept"),
    )
    held, *referrers = map(int, output.split())
    addresses = list(found.addresses)
    (row,) = of_floats(found)
    assert found.rows[found.holders[addresses.index(held)]] == row
    (referrer,) = referrers
    holder = found.rows[found.holders[addresses.index(referrer)]]
    assert row.parent is not None
    assert found.rows[row.parent] == holder


@st.composite
def edges(draw: st.DrawFn) -> list[list[int]]:
    nodes = draw(st.integers(2, 60))
    choice = random.Random(draw(st.integers(0, 2**32)))
    most = draw(st.integers(1, 4))
    return [[choice.randrange(nodes) for _ in range(choice.randint(0, most))] for _ in range(nodes)]


def plain_dominators(graph: list[list[int]]) -> list[int]:
    """Find those nodes on every way from node 0, each by leaving one out."""

    def reached(without: int) -> set[int]:
        seen: set[int] = set()
        stack = [0] if without != 0 else []
        while stack:
            node = stack.pop()
            if node not in seen and node != without:
                seen.add(node)
                stack += graph[node]
        return seen

    every = reached(-1)
    lost = {node: every - reached(node) for node in every}  # each has itself
    found = [NO_ROW] * len(graph)
    found[0] = 0
    for node in every - {0}:
        above = [one for one in every if one != node and node in lost[one]]
        found[node] = min(above, key=lambda one: len(lost[one]))
    return found


@examples(200)
@given(graph=edges())
def test_dominators_are_those_of_the_plain_algorithm(graph: list[list[int]]) -> None:
    starts = array("Q", [0])
    for targets in graph:
        starts.append(starts[-1] + len(targets))
    flat = array("I", [target for targets in graph for target in targets])
    found = array("I", walker.dominators(starts.tobytes(), flat.tobytes()))
    assert list(found) == plain_dominators(graph)


def test_the_base_of_a_view_and_objects_in_an_array_are_seen(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    planted = (
        "import numpy\nview = numpy.zeros(100_000)[1:]\n"
        "boxes = numpy.array([None, None], dtype=object); boxes[1] = rows()"
    )
    found, _ = looked_at(tmp_path, planted)
    (row,) = of_floats(found)
    assert row.path == "__main__.boxes.flat[1]"
    arrays = [row for row in found.rows if found.types[row.kind] == "numpy.ndarray"]
    assert [row.path for row in arrays if row.own_bytes >= 800_000] == ["__main__.view.base"]


def test_a_thread_local_and_a_weak_dictionary_lead_to_what_they_hold(tmp_path: Path) -> None:
    planted = "local = threading.local(); local.scratch = rows()"
    (row,) = of_floats(looked_at(tmp_path, planted)[0])
    assert row.path.startswith("__main__.local")
    assert row.label == "['scratch']" or row.label == ".scratch"
    planted = "key = Plain(); weak = weakref.WeakKeyDictionary(); weak[key] = rows()"
    (row,) = of_floats(looked_at(tmp_path, planted)[0])
    assert row.path.startswith("__main__.weak.data[<")


ADOPTS = """
import ctypes, signal
told = []
signal.signal(signal.SIGCHLD, lambda *_: told.append(1))
if sys.argv[2] == "subreaper":
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
else:
    assert os.getpid() == 1

def waited():
    try: return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError: return None

def children():
    return open(f"/proc/self/task/{threading.get_native_id()}/children").read().split()

for _ in range(3):
    look(sys.argv[1])
    assert waited() is None
    file = os.open(sys.argv[1], os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    os.close(file)
    assert waited() is None
    until = time.monotonic() + 10
    while not _holders.reap() and time.monotonic() < until:
        time.sleep(0.01)
    assert not children() and not told
if not os.fork():
    os._exit(not _holders.reap())
assert os.wait()[1] == 0
"""


@pytest.mark.parametrize("kind", ["subreaper", "first"])
def test_no_child_comes_to_a_program_that_orphans_come_to(tmp_path: Path, kind: str) -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--map-root-user"]
    if kind == "subreaper":
        command = []
    elif subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process may have a namespace of its own here")
    program = tmp_path / "job.py"
    program.write_text(MODULE.format(planted="import fcntl", looks=ADOPTS, shows=True))
    run_dir = RunDirectory(tmp_path)
    command += [sys.executable, str(program), str(run_dir.graph(7)), kind]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert graph.read(run_dir.graph(7)).addresses


def gave_up(tmp_path: Path, looks: str) -> str:
    """Return why there is no graph; the program goes on."""
    with pytest.raises(CaptureError) as error:
        looked_at(tmp_path, "kept = [rows() for _ in range(300)]\nimport resource", looks)
    return error.value.message


def test_a_child_without_memory_says_so(tmp_path: Path) -> None:
    looks = (
        "size = int(open('/proc/self/statm').read().split()[0]) * 4096 + (12 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\nlook(sys.argv[1])"
    )
    said = gave_up(tmp_path, looks)
    assert said.endswith("holders-7 was given up: there was no memory for it.")


def test_a_child_that_may_not_write_says_so(tmp_path: Path) -> None:
    looks = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\nlook(sys.argv[1])"
    )
    said = gave_up(tmp_path, looks)
    assert said.endswith("its file could not be written (File too large).")


def test_a_child_that_takes_too_long_says_so(tmp_path: Path) -> None:
    looks = (
        "class Slow(type): pass\n"
        "many = [[None] * 2000 for _ in range(2000)]\n"
        "def look_in_no_time(path):\n"
        "    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)\n"
        "    import fcntl; fcntl.flock(file, fcntl.LOCK_EX)\n"
        "    kept.extend([n] for n in range(3_000_000))\n"
        "    _holders.snapshot(file, 7, 1, list(sys.modules.values()), 0, [], 1, True, b'')\n"
        "    os.close(file)\n"
        "look_in_no_time(sys.argv[1])"
    )
    assert gave_up(tmp_path, looks).endswith("it took too long.")


def test_a_type_that_breaks_the_look_leaves_a_word(tmp_path: Path) -> None:
    looks = (
        "import ctypes\nheld = []\nkept.append(held)\nheld.append(1)\n"
        "ctypes.c_void_p.from_address(id(held) + 24).value = 8\nlook(sys.argv[1])\n"
        "os._exit(0)"
    )
    assert gave_up(tmp_path, looks).endswith("the look ended by signal 11.")


# A list of the modules whose items lie at the end of what can be read.
AT_THE_END = """
import ctypes, mmap
roots = list(sys.modules.values())
room = mmap.mmap(-1, 3 * mmap.PAGESIZE * (1 + 8 * len(roots) // mmap.PAGESIZE))
begin = ctypes.addressof(ctypes.c_char.from_buffer(room))
end = begin + len(room) - mmap.PAGESIZE
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(end), mmap.PAGESIZE, 0) == 0
field = [ctypes.c_void_p.from_address(id(roots) + at) for at in (24, 32)]
ctypes.memmove(end - 8 * len(roots), field[0].value, 8 * len(roots))
field[0].value, field[1].value = end - 8 * len(roots), len(roots)
import fcntl
def look_with_locals():
    of_the_function = rows()
    file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    _holders.snapshot(file, 7, 1, roots, 0, [sys._getframe()], 60, True, b'')
look_with_locals()
os._exit(0)
"""


def test_a_block_of_the_program_may_lie_at_the_end_of_its_memory(tmp_path: Path) -> None:
    found = looked_at(tmp_path, "", AT_THE_END)
    (row,) = of_floats(found[0])
    assert row.retained_bytes > 8000 * 24


def test_no_code_of_the_program_runs_in_the_child(tmp_path: Path) -> None:
    """Neither handlers of signals that came before the fork, nor finalizers of garbage."""
    looks = (
        "import ctypes, signal\n"
        "kept = {number: {('a', number, (1.5, None)): rows()} for number in (7, 10**30, 'x')}\n"
        "def note(*_):\n"
        "    file = os.open(sys.argv[1] + '.notes', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "    os.write(file, b'%d ' % (os.getpid() == PID)); os.close(file)\n"
        "PID = os.getpid()\n"
        "class Node:\n"
        "    def __del__(self): note()\n"
        "node = Node(); node.me = node; del node\n"
        "signal.signal(signal.SIGUSR1, note)\n"
        "import fcntl\n"
        "file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "main = sys.modules['__main__']\n"
        "args = (file, 7, 1, [main, *sys.modules.values()], 0, [], 60, True, b'')\n"
        "gc.set_threshold(1, 1, 1)\n"
        "comes = functools.partial(getattr(ctypes.CDLL(None), 'raise'), int(signal.SIGUSR1))\n"
        "looks = functools.partial(_holders.snapshot, *args)\n"
        "list(map(functools.partial.__call__, [comes, looks]))\n"
        "os.close(file)\n"
    )
    found, _ = looked_at(tmp_path, "", looks)
    notes = (tmp_path / "holders-7.notes").read_text().split()
    assert set(notes) == {"1"}
    paths = {row.path for row in of_floats(found)}
    assert "__main__.kept[7][('a', 7, (1.5, None))]" in paths
    assert "__main__.kept['x'][('a', 'x', (1.5, None))]" in paths


def test_a_child_of_the_programs_does_not_keep_the_file_locked(tmp_path: Path) -> None:
    """Another thread may fork between the opening of the file and its closing."""
    looks = (
        "import fcntl\n"
        "file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)\n"
        "fcntl.flock(file, fcntl.LOCK_SH)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for stream in range(3): os.close(stream)\n"
        "    time.sleep(60); os._exit(0)\n"
        "_holders.snapshot(file, 7, 1, list(sys.modules.values()), 0, [], 60, True, b'')\n"
        "os.close(file)\n"
        "print(pid)\n"
    )
    began_s = time.monotonic()
    found, output = looked_at(tmp_path, "kept = rows()", looks)
    os.kill(int(output), signal.SIGKILL)
    assert found.addresses
    assert time.monotonic() - began_s < 30
