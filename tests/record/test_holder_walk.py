"""The walker sees the references that Python's own collector sees, on graphs made by chance."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import types
from array import array
from collections import Counter, OrderedDict, deque
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import environment

from memdeep.model.graph import GARBAGE, NAMED
from memdeep.rundir import graph
from memdeep.rundir.directory import RunDirectory

walker = pytest.importorskip("memdeep.record._holders")

MOST_NODES = 12


class Plain:
    """Has a dictionary."""


class Slotted:
    """Has places for two."""

    __slots__ = ("first", "second")


MAKERS = {
    "list": list,
    "dict": dict,
    "ordered": OrderedDict,
    "deque": deque,
    "instance": Plain,
    "slots": Slotted,
    "cell": types.CellType,
    "partial": lambda: functools.partial(print),
    "error": ValueError,
    "method": lambda: Plain().__repr__,
    "function": lambda: types.FunctionType((lambda: None).__code__, {}),
}


def connect(kind: str, one: object, other: object, number: int) -> None:
    """Let ``one`` hold ``other``, as well as its kind can."""
    if kind in ("list", "deque"):
        one.append(other)
    elif kind in ("dict", "ordered"):
        one[number] = other
    elif kind == "slots":
        setattr(one, ("first", "second")[number % 2], other)
    elif kind == "cell":
        one.cell_contents = other
    elif kind == "error":
        one.args = (*one.args, other)
    elif kind == "method":
        setattr(one.__self__, f"a{number}", other)
    elif kind == "function":
        one.__defaults__ = (*(one.__defaults__ or ()), other)
    else:
        setattr(one, f"a{number}", other)


def made(kinds: list[str], edges: list[tuple[int, int]]) -> list[object]:
    """Make the objects of a graph."""
    nodes = [MAKERS[kind]() for kind in kinds]
    for number, (source, target) in enumerate(edges):
        connect(kinds[source], nodes[source], nodes[target], number)
    return nodes


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=MOST_NODES))
    node = st.integers(0, len(kinds) - 1)
    return kinds, draw(st.lists(st.tuples(node, node), max_size=2 * MOST_NODES))


def beneath(nodes: list[object]) -> list[object]:
    """Return ``nodes`` and the containers that lie between them."""
    known = {id(one): one for one in nodes}
    waiting = list(nodes)
    while waiting:
        for one in gc.get_referents(waiting.pop()):
            is_between = type(one) in (dict, tuple, Plain) and one is not Plain.__dict__
            if is_between and id(one) not in known and one is not globals():
                known[id(one)] = one
                waiting.append(one)
    return list(known.values())


def referents(one: object) -> list[object]:
    """Return what an object holds: texts that are the keys of a dictionary, too."""
    found = gc.get_referents(one)
    if isinstance(one, dict) and all(type(key) is str for key in one):
        found += one
    return found


@examples(6)
@given(graphs=st.lists(graphs(), min_size=2, max_size=6))
def test_references_are_those_that_the_collector_sees(
    graphs: list[tuple[list[str], list[tuple[int, int]]]],
) -> None:
    nodes = [node for graph in graphs for node in made(*graph)]
    every = beneath(nodes)
    wanted = {id(one): Counter(map(id, referents(one))) for one in every}
    of_plain = [gc.get_referents(one) for one in every if type(one) is Plain]
    dicts = [one for held in of_plain for one in held if type(one) is dict]
    of_instances, names = set(map(id, dicts)), {id(key) for one in dicts for key in one}
    referrers = {address: {by for by in wanted if address in wanted[by]} for address in wanted}
    columns = walker.walked([nodes], list(every))
    addresses, starts, targets, _ = map(array, "QQIi", columns)
    found_by: dict[int, set[int]] = {id(one): set() for one in every}
    for place, address in enumerate(addresses):
        if address not in wanted:
            continue
        edges = [addresses[at] for at in targets[starts[place] : starts[place + 1]]]
        expected = wanted.pop(address)
        if address in of_instances:  # whose keys may be their class's
            edges = [edge for edge in edges if edge not in names]
            expected = Counter({edge: n for edge, n in expected.items() if edge not in names})
        assert Counter(edges) == expected
        for target in edges:
            if target in found_by:
                found_by[target].add(address)
    assert not wanted
    assert found_by == referrers


PROGRAM = """
import fcntl, gc, json, os, sys, time
sys.path[:0] = {paths!r}
from memdeep.record import _holders
from test_holder_walk import made

gc.disable()
gc.collect()
kept, ids = [], []

def build(kinds, edges, roots):
    nodes = made(kinds, edges)
    kept.append([nodes[root] for root in roots])
    ids.append([id(node) for node in nodes])

for graph in json.load(sys.stdin):
    build(*graph)
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
main = sys.modules["__main__"]
modules = [main, *(one for one in sys.modules.values() if one is not main)]
_holders.snapshot(file, 7, time.monotonic_ns(), modules, 0, [], 60, 1, b"")
os.close(file)
print(json.dumps(ids))
"""


def reached(edges: list[tuple[int, int]], starts: set[int]) -> set[int]:
    found, waiting = set(starts), list(starts)
    while waiting:
        node = waiting.pop()
        fresh = {target for source, target in edges if source == node} - found
        found |= fresh
        waiting += fresh
    return found


def true_edges(kinds: list[str], edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out those that a later one has replaced."""
    last: dict[tuple[int, object], int] = {}
    for number, (source, target) in enumerate(edges):
        place: object = number
        if kinds[source] == "slots":
            place = number % 2
        elif kinds[source] == "cell":
            place = None
        last[source, place] = target
    return [(source, target) for (source, _), target in last.items()]


@st.composite
def rooted(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int]], list[int]]:
    kinds, edges = draw(graphs())
    return kinds, edges, draw(st.lists(st.integers(0, len(kinds) - 1), max_size=2))


@examples(3)
@given(graphs=st.lists(rooted(), min_size=20, max_size=60))
def test_what_is_reached_and_what_is_garbage_is_told(
    graphs: list[tuple[list[str], list[tuple[int, int]], list[int]]],
) -> None:
    room = Path(__file__).parent
    with TemporaryDirectory() as directory:
        run_dir = RunDirectory(Path(directory))
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                PROGRAM.format(paths=[os.fspath(room), os.fspath(room.parent / "support")]),
                run_dir.graph(7),
            ],
            input=json.dumps(graphs),
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        graph.wait(run_dir)
        seen = graph.read(run_dir.graph(7))
    states = dict(zip(seen.addresses, seen.states, strict=True))
    for (kinds, edges, roots), ids in zip(graphs, json.loads(done.stdout), strict=True):
        held = true_edges(kinds, edges)
        named = reached(held, set(roots))
        lost = set(range(len(kinds))) - named
        among = [edge for edge in held if edge[0] in lost]
        circles = {
            node
            for node in lost
            if node in reached(among, {target for source, target in among if source == node})
        }
        garbage = reached(among, circles) - named
        assert {states[ids[node]] for node in named} <= {NAMED}
        assert {states[ids[node]] for node in garbage} <= {GARBAGE}
