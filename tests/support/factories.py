"""Small makers of the model's values for tests: each gives a plain one, changed by keywords."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from memdeep.analysis.across import Rows, across
from memdeep.analysis.death import death, did_die
from memdeep.analysis.findings import findings
from memdeep.analysis.outline import outline
from memdeep.analysis.patterns import patterns
from memdeep.analysis.phases import Figures, heap_curve, phases
from memdeep.heap.lists import LifetimeList
from memdeep.model import (
    Checkpoint,
    CheckpointKind,
    Culprit,
    Exit,
    Finding,
    Frame,
    Heap,
    Lifetime,
    Mode,
    Origin,
    Peak,
    Phase,
    PhaseHeap,
    PhaseKind,
    PhaseOutline,
    Process,
    ProcessHeap,
    Report,
    Run,
    Sample,
    StackBytes,
    StackTree,
    Stretch,
)
from memdeep.model.alive import AliveStacks
from memdeep.model.statement import state
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta

MB = 1 << 20

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates included
COUNTS = st.integers(0, 2**63 - 1)

CODE = tuple(origin for origin in Origin if origin is not Origin.THREAD)

Stack = Sequence[Frame]


def frame(function: str = "main", **changes: Any) -> Frame:
    """A frame of the user's own code; its line number follows from the function's name."""
    lineno = 1 + sum(function.encode("utf-8", "replace")) % 900
    return replace(Frame(function, "/app/prog.py", lineno, Origin.USER), **changes)


def library(function: str = "read", **changes: Any) -> Frame:
    path = "/usr/lib/python3.11/site-packages/pandas/io.py"
    return frame(function, **{"filename": path, "origin": Origin.LIBRARY, **changes})


def stdlib(function: str = "loads", **changes: Any) -> Frame:
    path = "/usr/lib/python3.11/json/__init__.py"
    return frame(function, **{"filename": path, "origin": Origin.STDLIB, **changes})


def native(function: str = "malloc", **changes: Any) -> Frame:
    return frame(function, **{"filename": "libc.c", "origin": Origin.NATIVE, **changes})


def thread_root(name: str) -> Frame:
    """The outermost frame of all stacks of a thread."""
    return Frame(name, "", 0, Origin.THREAD)


def tree(*stacks: Stack) -> tuple[StackTree, tuple[int, ...]]:
    """The tree of ``stacks`` (outermost frame first), and the node of each."""
    frames: dict[Frame, int] = {}
    places: dict[tuple[int, int], int] = {}
    nodes = []
    for stack in stacks:
        node = -1
        for called in stack:
            frame_id = frames.setdefault(called, len(frames))
            node = places.setdefault((node, frame_id), len(places))
        nodes.append(node)
    parents = tuple(parent for parent, _ in places)
    return StackTree(tuple(frames), parents, tuple(frame_id for _, frame_id in places)), tuple(
        nodes
    )


def checkpoint(index: int = 0, label: str = "", **changes: Any) -> Checkpoint:
    """A point one second after its neighbour; its RSS is not known."""
    plain = Checkpoint(index, label or f"point {index}", CheckpointKind.POINT, float(index), None)
    return replace(plain, **changes)


def program(*steps: str) -> tuple[Checkpoint, ...]:
    """The checkpoints of a run: ``+x`` begins the span x, ``-x`` ends the innermost open x.

    Every other step is the label of a point. The start and the end of the run are added.
    """
    points = [checkpoint(0, "(start)")]
    open_spans: list[tuple[str, int]] = []
    for index, step in enumerate(steps, 1):
        name = step[1:]
        if step.startswith("+"):
            open_spans.append((name, index))
            points.append(checkpoint(index, name, kind=CheckpointKind.BEGIN, span=index))
        elif step.startswith("-"):
            place = max(
                place for place, (open_name, _) in enumerate(open_spans) if open_name == name
            )
            span = open_spans.pop(place)[1]
            points.append(checkpoint(index, name, kind=CheckpointKind.END, span=span))
        else:
            points.append(checkpoint(index, step))
    points.append(checkpoint(len(points), "(end)"))
    return tuple(points)


def event(kind: str, sequence: int, rss: int | None, label: str = "", **more: object) -> Event:
    """A line of the journal, a millisecond after its neighbour and by the main thread."""
    line = {"n": sequence, "k": kind, "t": sequence * 1000, "rss": rss, "l": label}
    return Event({**line, "th": "MainThread", **more})


def with_rss(points: Sequence[Checkpoint], *rss_bytes: int | None) -> tuple[Checkpoint, ...]:
    """``points`` with these figures, one for each."""
    return tuple(
        replace(point, rss_bytes=size) for point, size in zip(points, rss_bytes, strict=True)
    )


def run(*steps: str, **changes: Any) -> Run:
    """A completed run with the checkpoints of `program`."""
    plain = Run(
        command=("prog.py", "--fast"),
        name="prog.py",
        mode=Mode("memray", native=True, python_allocators=False),
        python="3.11.7",
        memray="1.19.3",
        started="2025-11-20T10:30:45.123+00:00",
        duration_s=12.5,
        exit=Exit(0, None, "completed"),
        checkpoints=program(*steps),
        rss_curve=(),
        peak_rss_bytes=None,
    )
    return replace(plain, **changes)


def meta(**changes: Any) -> Meta:
    """The facts of a run that has not ended yet."""
    plain = Meta(
        command=("prog.py", "-x"),
        name="prog.py",
        backend="memray",
        native=True,
        python_allocators=False,
        focus=(),
        python="3.11.7",
        memray="1.19.3",
        started="2025-11-20T10:30:45.123+01:00",
        spawned_ns=5,
        interval_ms=50,
        stdlib_paths=("/usr/lib/python3.11",),
        library_paths=("/usr/lib/python3.11/site-packages",),
    )
    return replace(plain, **changes)


def lifetime(node: int = 0, born: int = 1, died: int | None = None, **changes: Any) -> Lifetime:
    return Lifetime(node, born, died, bytes=10 * MB, allocations=1)._replace(**changes)


def transient(node: int, segment: int, size: int, allocations: int) -> Lifetime:
    """Bytes that were allocated and freed in one segment."""
    return Lifetime(node, segment, segment, size, allocations)


def at_checkpoints(lifetimes: Sequence[Lifetime], checkpoints: int) -> tuple[int, ...]:
    """The heap at each checkpoint, counted in the plainest way."""
    return tuple(
        sum(
            life.bytes
            for life in lifetimes
            if life.born <= place and (life.died is None or place < life.died)
        )
        for place in range(checkpoints)
    )


def heap(
    stacks: StackTree, lifetimes: Sequence[Lifetime] = (), checkpoints: int = 2, **changes: Any
) -> Heap:
    """A heap whose figures at the checkpoints follow from its lifetimes; it has no peaks yet."""
    sizes = at_checkpoints(lifetimes, checkpoints)
    plain = Heap(
        tree=stacks,
        traced=(Stretch(0, checkpoints - 1),),
        at_checkpoints=sizes,
        lifetimes=LifetimeList(tuple(lifetimes)),
        peaks=(),
        curve=(),
        peak_bytes=max(sizes, default=0),
    )
    return replace(plain, **changes)


def with_peaks(plain: Heap, outlines: Sequence[PhaseOutline]) -> Heap:
    """``plain`` with the peak of each phase at the highest of its checkpoints."""
    return replace(plain, peaks=tuple(_peak(plain, item.stretches) for item in outlines))


def _peak(plain: Heap, stretches: Sequence[Stretch]) -> Peak:
    places = [place for s in stretches for place in range(s.start, s.end + 1)]
    highest = max(places, key=plain.at_checkpoints.__getitem__)
    alive = [
        StackBytes(life.node, life.bytes, life.allocations)
        for life in plain.lifetimes
        if life.born <= highest and (life.died is None or life.died > highest)
    ]
    return Peak(plain.at_checkpoints[highest], float(highest), AliveStacks(tuple(alive)))


def phase_outline(name: str = "load", **changes: Any) -> PhaseOutline:
    return replace(PhaseOutline(name, PhaseKind.SPAN, 0, None, (Stretch(0, 1),)), **changes)


def phase(name: str = "load", **changes: Any) -> Phase:
    """A phase in which nothing happened. What `PhaseOutline` knows may be given as well."""
    places = ("kind", "depth", "parent", "stretches", "threads", "overlaps")
    known = {key: changes.pop(key) for key in places & changes.keys()}
    outlined = phase_outline(name, **known)
    stretches = len(outlined.stretches)
    phase_heap = PhaseHeap(
        start_bytes=0,
        end_bytes=0,
        delta_bytes=0,
        deltas_bytes=(0,) * stretches,
        retained_bytes=0,
        kept_bytes=0,
        freed_bytes=0,
        peak=Peak(0, None, None),
        culprits=(),
        peak_culprits=(),
        freed_culprits=(),
    )
    names = {field.name for field in fields(PhaseHeap)}
    inside = {key: changes.pop(key) for key in names & changes.keys()}
    inside.setdefault("every_line", inside.get("culprits", ()))
    plain = Phase(
        outline=outlined,
        duration_s=1.0,
        rss_start_bytes=None,
        rss_end_bytes=None,
        rss_delta_bytes=None,
        rss_deltas_bytes=(None,) * stretches,
        heap=replace(phase_heap, **inside),
        explained_ratio=None,
    )
    return replace(plain, **changes)


def culprit(blamed: Frame | None = None, **changes: Any) -> Culprit:
    plain = Culprit(blamed or frame(), node=0, bytes=10 * MB, allocations=3, share=0.5)
    return replace(plain, **changes)


def report(
    found_phases: Sequence[Phase] = (),
    found: Sequence[Finding] = (),
    **changes: Any,
) -> Report:
    """A report on a run whose whole stack tree is one frame."""
    one_frame, _ = tree([frame()])
    end = max([1, *(phase.end for phase in found_phases)])
    plain = Report(
        run=run(),
        heap=heap(one_frame, traced=(Stretch(0, end),)),
        phases=tuple(found_phases),
        findings=tuple(found),
        heap_curve=(),
        sources={},
    )
    return replace(plain, **changes)


def analysed(
    recorded: Run,
    stacks: StackTree,
    lifetimes: Sequence[Lifetime],
    sources: Mapping[tuple[str, int], str] | None = None,
) -> Report:
    """The report that the analysis makes of a run with these lifetimes, to be summed up."""
    outlines = outline(recorded.checkpoints, died=did_die(recorded)).phases
    held = with_peaks(heap(stacks, lifetimes, len(recorded.checkpoints)), outlines)
    figures = Figures(recorded, held, every_line=True)
    found = phases(figures, outlines)
    return Report(
        run=recorded,
        heap=held,
        phases=found,
        findings=findings(held, found, len(recorded.checkpoints)),
        heap_curve=heap_curve(recorded, held),
        sources=sources or {},
        death=death(recorded, held, found),
        patterns=patterns(figures, found),
    )


def process(pid: int, **changes: Any) -> Process:
    """A process that the program forked in its line 30, and recorded; it ended well."""
    plain = Process(
        pid=pid,
        parent=0,
        command="python prog.py",
        verdict="completed",
        exit=0,
        how="fork",
        start_s=3.2,
        end_s=4.5,
        started_by=(frame("main", lineno=30),),
        thread="MainThread",
        directory=f"children/{pid}",
    )
    return replace(plain, **changes)


def with_curve(plain: Process, *sizes: int) -> Process:
    """``plain`` with a reading of its PSS at each half second from its start on."""
    first = math.ceil(2 * (plain.start_s or 0.0))
    curve = tuple(Sample((first + place) / 2, size) for place, size in enumerate(sizes))
    return replace(plain, curve=curve, peak_pss_bytes=max(sizes), peak_uss_bytes=max(sizes) // 2)


def family_run(workers: int = 2, **changes: Any) -> Run:
    """A run of the phases "load" and "search", the second of which forks ``workers`` processes.

    The first of them starts a Python, which is killed; a shell was seen from outside only.
    """
    points = program("+load", "-load", "+search", "-search")
    started = [process(101 + place, group=1) for place in range(workers)]
    last = workers + 1
    processes = [
        with_curve(
            Process(100, command="python prog.py", how="run", start_s=0.0, end_s=5.0, group=0),
            *(20 * MB, 20 * MB, 20 * MB, 60 * MB, *[62 * MB] * 7),
        ),
        *(with_curve(one, 30 * MB, 50 * MB, 50 * MB) for one in started),
        with_curve(
            process(
                101 + workers,
                parent=1,
                group=last,
                how="subprocess",
                command="python -m inner",
                start_s=3.4,
                started_by=(frame("inner", lineno=7),),
                verdict="oom-killed",
                exit=None,
                signal="SIGKILL",
            ),
            *(5 * MB, 5 * MB),
        ),
        Process(
            102 + workers,
            parent=0,
            command="/bin/sh -c ls",
            how="subprocess",
            start_s=3.5,
            end_s=5.0,
            verdict="detached",
            group=last + 1,
            peak_rss_bytes=3 * MB,
        ),
    ]
    sizes = [20, 20, 60, 62, 62, 62]
    plain = run(
        checkpoints=tuple(
            replace(point, thread="MainThread", rss_bytes=size * MB)
            for point, size in zip(points, sizes, strict=True)
        ),
        processes=tuple(processes),
        peak_rss_bytes=(90 + 60 * workers) * MB,
        peak_pss_bytes=(67 + 50 * workers) * MB,
        rss_curve=tuple(Sample(float(place), size * MB) for place, size in enumerate(sizes)),
    )
    return replace(plain, **changes)


def family_report(workers: int = 2, **changes: Any) -> Report:
    """The report on `family_run`: the program keeps 40 MB, each process of its line 30 keeps 30."""
    recorded = family_run(workers, **changes)
    main, work = frame("main"), frame("work", lineno=12)
    inner = frame("inner", lineno=7)
    stacks, (own, *of_workers, of_inner) = tree(
        [thread_root("MainThread"), main],
        *(
            [process_thread(place, recorded.processes[place]), work]
            for place in range(1, workers + 1)
        ),
        [process_thread(workers + 1, recorded.processes[workers + 1]), inner],
    )
    born_at, died = 4, 5
    lifetimes = [
        lifetime(own, 2, bytes=40 * MB),
        *(lifetime(node, born_at, died, bytes=30 * MB) for node in of_workers),
        lifetime(of_inner, born_at, died, bytes=4 * MB),
    ]
    points = len(recorded.checkpoints)
    outlines = outline(recorded.checkpoints, died=False).phases
    of_all = heap(stacks, lifetimes, points)
    heaps = [(place, 30 * MB) for place in range(1, workers + 1)] + [(workers + 1, 4 * MB)]
    held = with_peaks(
        replace(
            of_all,
            own=with_peaks(heap(stacks, lifetimes[:1], points), outlines),
            processes=tuple(
                ProcessHeap(place, size, (Sample(2.0, 0), Sample(3.0, size)))
                for place, size in heaps
            ),
        ),
        outlines,
    )
    figures = Figures(recorded, held)
    found = phases(figures, outlines)
    return Report(
        run=recorded,
        heap=held,
        phases=found,
        findings=findings(held, found, points),
        heap_curve=heap_curve(recorded, held),
        sources={},
        death=None,
        patterns=patterns(figures, found),
    )


def with_rows(made: Report, own: Mapping[int, Report]) -> Report:
    """``made`` with the own reports of processes, and the rows over all of them."""
    rows = Rows()
    for place, one in own.items():
        rows.add(place, one)
    made = replace(made, own_reports=own)
    return replace(made, across=across(made, rows))


def process_thread(place: int, of: Process) -> Frame:
    """The outermost frame of the stacks of the main thread of the process at ``place``."""
    return replace(thread_root(f"{of.how} {of.pid} MainThread"), lineno=place)


MARKUP = "</script><script>alert(1)</script>&<!--"
ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x9b2J"
LINES = "one\ntwo\r\nthree\ttab"
CHINESE = "加载配置"
EMOJI = "🚀 launch"
LONG = "long " * 2000  # 10,000 characters
HOSTILE = (MARKUP, ESCAPES, LINES, CHINESE, EMOJI, LONG)


def hostile_report(names: Sequence[str] = HOSTILE) -> Report:
    """A killed program whose labels, functions, files and source lines all mean harm.

    Each phase allocates 10 MB in a line of its own; the last one is never finished.
    """
    steps = [step for name in names for step in (f"+{name}", f"-{name}")]
    points = program(*steps[:-1])
    growth = [(100 + 11 * (place // 2)) * MB for place in range(len(points))]
    points = tuple(
        replace(point, note=MARKUP if place % 2 else None, thread="MainThread", pid=4242)
        for place, point in enumerate(with_rss(points, *growth))
    )
    outer = frame("main")
    inner = [
        frame(name[:40], filename=f"/app/{name[:40]}/{name[:20]}.py", lineno=place)
        for place, name in enumerate(names, 1)
    ]
    parser = stdlib("loads")
    stacks, nodes = tree(*([outer, called, parser] for called in inner))
    lifetimes = [
        lifetime(node, 2 * place + 2, bytes=(10 + place) * MB, allocations=1 + place)
        for place, node in enumerate(nodes)
    ]
    recorded = run(
        command=("prog.py", MARKUP, ESCAPES, CHINESE),
        name=f"{MARKUP}.py",
        exit=Exit(
            None, "SIGKILL", "killed", (state("exit.by_signal", signal=f"SIGKILL. {ESCAPES}"),)
        ),
        checkpoints=points,
        rss_curve=tuple(Sample(point.time_s, point.rss_bytes or 0) for point in points),
        peak_rss_bytes=growth[-1],
        warning_bytes=150 * MB,
        critical_bytes=400 * MB,
        problems=(f"A problem named {MARKUP} {ESCAPES}.",),
    )
    sources = {(called.filename, called.lineno): called.function for called in inner}
    return analysed(recorded, stacks, lifetimes, sources)


@st.composite
def nested_steps(draw: st.DrawFn, names: str = "abc", most: int = 14) -> tuple[str, ...]:
    """Steps for `program` whose spans nest properly; some may be left open at the end."""
    steps: list[str] = []
    open_names: list[str] = []
    for _ in range(draw(st.integers(0, most))):
        choice = draw(st.sampled_from(["point", "begin", "end"]))
        if choice == "end" and open_names:
            steps.append(f"-{open_names.pop()}")
        elif choice == "begin":
            open_names.append(draw(st.sampled_from(names)))
            steps.append(f"+{open_names[-1]}")
        else:
            steps.append(draw(st.sampled_from(["tick", "tock"])))
    if draw(st.booleans()):
        steps.extend(f"-{name}" for name in reversed(open_names))
    return tuple(steps)


@st.composite
def lifetimes_in(
    draw: st.DrawFn, nodes: int, checkpoints: int, most: int = 12
) -> tuple[Lifetime, ...]:
    """Lifetimes as a capture may hold them: born at 1 or later, dead later than born, or never."""
    found = []
    for _ in range(draw(st.integers(0, most))):
        born = draw(st.integers(1, checkpoints - 1))
        died = draw(st.none() | st.integers(born + 1, checkpoints))
        died = None if died == checkpoints else died
        size = draw(st.integers(1, 64 * MB))
        found.append(Lifetime(draw(st.integers(0, nodes - 1)), born, died, size, 1))
    return tuple(found)


@st.composite
def trees(draw: st.DrawFn, most: int = 12) -> StackTree:
    """Any tree of at least one node over frames of every origin."""
    frames = tuple(
        frame(f"f{place}", origin=origin, lineno=place + 1) for place, origin in enumerate(CODE)
    )
    size = draw(st.integers(1, most))
    parents = tuple(draw(st.integers(-1, node - 1)) for node in range(size))
    frame_ids = tuple(draw(st.integers(0, len(frames) - 1)) for _ in range(size))
    return StackTree(frames, parents, frame_ids)
