"""Derives advice from the stacks and the growth behind a finding.

Advice is given only with its evidence: the figures and names a reader can check it by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath

from memdeep.analysis.trend import trend
from memdeep.model import Advice, Culprit, Frame, Heap, Lifetime, Origin, Phase, Stretch

MIN_REPEATS = 5
STEADY_SHARE = 0.8  # of the repeats must have grown to call the growth steady
UNTOUCHED_SHARE = 0.5  # of a finding's bytes must be untouched to speak of a reservation

Evidence = Mapping[str, int | float | str]

# By file, the functions that turn a whole input into Python objects, as a user calls them.
_PARSERS = (
    ("json/__init__.py", ("load", "loads"), "json.{}"),
    ("json/decoder.py", ("decode",), "JSONDecoder.{}"),
    ("yaml/__init__.py", ("load", "load_all", "safe_load", "full_load"), "yaml.{}"),
    ("tomllib/_parser.py", ("load", "loads"), "tomllib.{}"),
    ("xml/etree/ElementTree.py", ("parse", "fromstring", "XML"), "ElementTree.{}"),
    ("xml/dom/minidom.py", ("parse", "parseString"), "minidom.{}"),
    ("pathlib.py", ("read_text", "read_bytes"), "Path.{}"),
    ("pathlib/_local.py", ("read_text", "read_bytes"), "Path.{}"),
    ("pathlib/__init__.py", ("read_text", "read_bytes"), "Path.{}"),
    ("pandas/io/parsers/readers.py", ("read_csv", "read_table"), "pandas.{}"),
    ("pandas/io/json/_json.py", ("read_json",), "pandas.{}"),
    ("pandas/io/excel/_base.py", ("read_excel",), "pandas.{}"),
    ("pandas/io/parquet.py", ("read_parquet",), "pandas.{}"),
    ("numpy/lib/npyio.py", ("load", "loadtxt", "genfromtxt"), "numpy.{}"),
    ("numpy/lib/_npyio_impl.py", ("load", "loadtxt", "genfromtxt"), "numpy.{}"),
)
_UNPICKLERS = ("_pickle_load", "_pickle_loads", "_pickle_Unpickler_load")
_IMPORTER = ("_find_and_load", "<frozen importlib._bootstrap>")

# The functions of CPython that make a container larger when something is put into it.
_GROWTH_OF_CONTAINERS = {
    "list_resize": "list",
    "dictresize": "dict",
    "insertion_resize": "dict",
    "set_table_resize": "set",
    "PyByteArray_Resize": "bytearray",
    "array_resize": "array",
    "resize_buffer": "BytesIO",
}
# bytearray(size) goes through the same function as one that grows.
_MADE_AT_ITS_SIZE = "bytearray___init__"


@dataclass(frozen=True, slots=True)
class Case:
    """A finding before it is judged: the line, and the lifetimes charged to it in its phase."""

    heap: Heap
    phase: Phase
    culprit: Culprit
    lifetimes: Sequence[Lifetime]

    @property
    def called(self) -> Sequence[Frame]:
        """The frames that the line called, outermost first, down to the allocation."""
        stack = self.heap.tree.stack(self.culprit.node)
        return stack[stack.index(self.culprit.frame) + 1 :]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Advice, and the figures and names it rests on, by name."""

    advice: Advice
    evidence: Evidence


def advise(case: Case) -> Suggestion | None:
    """Find the first advice that the evidence supports; the more telling kinds are tried first.

    The outermost call of the line explains those within it, so it is tried first.
    """
    for frame in case.called:
        for judge_call in _JUDGES_OF_CALLS:
            suggestion = judge_call(case, frame)
            if suggestion is not None:
                return suggestion
    for judge in _JUDGES_OF_GROWTH:
        suggestion = judge(case)
        if suggestion is not None:
            return suggestion
    return None


def _deep_copy(case: Case, frame: Frame) -> Suggestion | None:
    if not _is_deep_copy(frame):
        return None
    copies = _nodes_through(case.heap, _is_deep_copy)
    alive = list(case.heap.lifetimes.alive_at(case.phase.end))
    held = sum(stack.bytes for stack in alive)
    copied = sum(stack.bytes for stack in alive if copies[stack.node])
    return Suggestion(
        Advice.DEEP_COPY,
        {
            "copied_bytes": copied,
            "heap_bytes": held,
            "factor": round(held / max(1, held - copied), 2),
            "stretches": len({life.born for life in case.lifetimes}),
        },
    )


def _is_deep_copy(frame: Frame) -> bool:
    return frame.function == "deepcopy" and PurePath(frame.filename).name == "copy.py"


def _nodes_through(heap: Heap, is_wanted: Callable[[Frame], bool]) -> bytearray:
    """Mark each node whose stack passes through a wanted frame."""
    wanted = bytes(is_wanted(frame) for frame in heap.tree.frames)
    through = bytearray(len(heap.tree.parents))
    for node, parent in enumerate(heap.tree.parents):
        inherited = through[parent] if parent >= 0 else 0
        through[node] = inherited | wanted[heap.tree.frame_ids[node]]
    return through


def _whole_parse(case: Case, frame: Frame) -> Suggestion | None:
    for file_end, functions, call in _PARSERS:
        if frame.function in functions and frame.filename.endswith(f"/{file_end}"):
            return Suggestion(
                Advice.WHOLE_PARSE,
                {
                    "call": call.format(frame.function),
                    "held_bytes": case.culprit.bytes,
                    "held_share": case.culprit.share,
                },
            )
    return None


def _unpickle(case: Case, frame: Frame) -> Suggestion | None:
    if frame.function not in _UNPICKLERS:
        return None
    return Suggestion(Advice.UNPICKLE, {"held_bytes": case.culprit.bytes})


def _repeated_growth(case: Case) -> Suggestion | None:
    """Judge a line that grew in nearly every round and whose bytes were still there at the last.

    Rounds are the repeats of the phase, or the segments of one that has no repeats.
    """
    stretches = case.phase.outline.stretches
    if len(stretches) == 1:
        whole = stretches[0]
        stretches = tuple(Stretch(place, place + 1) for place in range(whole.start, whole.end))
    if len(stretches) < MIN_REPEATS:
        return None
    by_segment: dict[int, int] = {}
    for life in case.lifetimes:
        by_segment[life.born] = by_segment.get(life.born, 0) + life.bytes
    grown = [
        sum(by_segment.get(place, 0) for place in range(stretch.start + 1, stretch.end + 1))
        for stretch in stretches
    ]
    course = trend(grown)
    alive = sum(life.bytes for life in case.lifetimes if life.is_alive_at(case.phase.end))
    if course is None or course.slope_bytes <= 0 or alive < STEADY_SHARE * sum(grown):
        return None
    if course.growing < STEADY_SHARE * course.repeats:
        return None
    return Suggestion(
        Advice.REPEATED_GROWTH,
        {
            "repeats": course.repeats,
            "growing": course.growing,
            "slope_bytes": course.slope_bytes,
            "warm_up_bytes": course.warm_up_bytes,
        },
    )


def _growing_container(case: Case) -> Suggestion | None:
    # Only what the line itself put into a container.
    own = list(takewhile(lambda frame: frame.origin is Origin.NATIVE, reversed(case.called)))
    if any(frame.function.startswith(_MADE_AT_ITS_SIZE) for frame in own):
        return None
    for frame in own:
        container = _GROWTH_OF_CONTAINERS.get(frame.function)
        if container is not None:
            return Suggestion(
                Advice.GROWING_CONTAINER,
                {"container": container, "call": frame.function, "held_bytes": case.culprit.bytes},
            )
    return None


def _import(case: Case, frame: Frame) -> Suggestion | None:
    if (frame.function, frame.filename) != _IMPORTER:
        return None
    within = case.called[case.called.index(frame) :]
    modules = [called.filename for called in within if called.function == "<module>"]
    return Suggestion(
        Advice.IMPORT,
        {
            "module": _module_name(modules[0]) if modules else "–",
            "held_bytes": case.culprit.bytes,
        },
    )


def _module_name(filename: str) -> str:
    path = PurePath(filename)
    return path.parent.name if path.stem == "__init__" else path.stem


def _untouched(case: Case) -> Suggestion | None:
    gap, rss_delta = case.phase.gap, case.phase.rss_delta_bytes
    if gap is None or rss_delta is None or case.phase.heap is None:
        return None
    if gap.untouched_bytes < UNTOUCHED_SHARE * case.culprit.bytes:
        return None
    return Suggestion(
        Advice.UNTOUCHED,
        {
            "heap_bytes": case.phase.heap.delta_bytes,
            "rss_bytes": rss_delta,
            "untouched_bytes": gap.untouched_bytes,
        },
    )


_JUDGES_OF_CALLS = (_deep_copy, _whole_parse, _unpickle, _import)
_JUDGES_OF_GROWTH = (_repeated_growth, _untouched, _growing_container)
