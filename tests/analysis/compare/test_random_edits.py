"""Random edits of programs whose growth is known: at least 95 % of it is found again rightly.

A program has files of functions, and phases that each call one; every line that allocates has a
known size. Edits keep the identity of lines and phases, so that the truth is known.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from random import Random

import pytest
from factories import MB, analysed, frame, lifetime, run, tree

from memdeep.analysis.compare.compare import compare
from memdeep.analysis.compare.lines import match_lines
from memdeep.model import Frame, Mode, Report
from memdeep.model.comparison import Figure

PROGRAMS = 240
LEAST_RIGHT = 0.95
VARIABLES = ("rows", "table", "items", "data", "found", "prices", "cache", "result")
CALLS = ("read", "parse", "load", "copy", "merge", "build", "fetch", "group", "sort", "index")
NOUNS = ("config", "history", "trades", "market", "report", "mail", "signals", "grid", "参数")


@dataclass
class Line:
    """A line of code by its number in the truth; it keeps so many MB, or none."""

    number: int
    text: str
    kept: int = 0


@dataclass
class Function:
    name: str
    file: str
    lines: list[Line]


@dataclass
class Program:
    """Functions in the order of their files; phases are their numbers, names and functions."""

    functions: list[Function] = field(default_factory=list)
    phases: list[tuple[int, str, Function]] = field(default_factory=list)
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def add_phase(self, random: Random, place: int) -> None:
        verb, noun = random.choice(CALLS), random.choice(NOUNS)
        name = f"{verb}_{noun}"
        while any(one.name == name for one in self.functions):
            name += random.choice("abcxyz")
        lines = [self.line(random, name) for _ in range(random.randint(1, 5))]
        lines[0].kept = lines[0].kept or random.randint(1, 40)
        function = Function(name, random.choice(["job.py", "work.py", "tools.py"]), lines)
        self.functions.append(function)
        label = f"{random.choice(['Phase', '阶段', 'step '])}{self.number()} {name}"
        self.phases.insert(place, (self.number(), label, function))

    def line(self, random: Random, name: str) -> Line:
        variable, call = random.choice(VARIABLES), random.choice(CALLS)
        text = f"{variable} = {call}_{random.choice(NOUNS)}({random.choice(VARIABLES)})"
        if random.random() < 0.3:
            text = f"{variable}.append({call}(path, {random.randint(0, 9)}))"
        return Line(self.number(), text, random.choice([0, 1, 3, 8, 20]))


def made(random: Random) -> Program:
    program = Program()
    for place in range(random.randint(2, 7)):
        program.add_phase(random, place)
    return program


def edit(program: Program, random: Random) -> None:
    """Edit a program once, at random."""
    function = random.choice(program.functions)
    place = random.randrange(len(program.phases))
    number, label, called = program.phases[place]
    what = random.randrange(9)
    if what == 0:
        for _ in range(random.randint(1, 4)):
            new = program.line(random, function.name)
            new.kept = random.choice([0, 0, 2])
            function.lines.insert(random.randint(0, len(function.lines)), new)
    elif what == 1:
        old, new_name = random.choice(VARIABLES), random.choice(VARIABLES) + "_all"
        for line in function.lines:
            line.text = line.text.replace(old, new_name)
    elif what == 2:
        function.file = random.choice(["job.py", "helpers.py", "tools.py"])
    elif what == 3:
        old, new_name = function.file, f"{random.choice(NOUNS)}s.py"
        for one in program.functions:
            one.file = new_name if one.file == old else one.file
    elif what == 4:
        program.phases.insert(random.randrange(len(program.phases)), program.phases.pop(place))
    elif what == 5:
        program.phases[place] = (number, label + random.choice(["s", " all", " (new)"]), called)
    elif what == 6:
        program.add_phase(random, random.randint(0, len(program.phases)))
    elif what == 7 and len(program.phases) > 1:
        del program.phases[place]
        program.functions.remove(called)
    else:
        random.choice(function.lines).kept += random.choice([2, 10])


def report_of(program: Program) -> tuple[Report, dict[int, Frame]]:
    """The report of a program, and the frame of each line that keeps something."""
    texts: dict[tuple[str, int], str] = {}
    at: dict[int, Frame] = {}
    ends: dict[str, int] = {}
    main = frame("<module>", filename="/app/job.py", lineno=900)
    for function in program.functions:
        path = f"/app/{function.file}"
        start = ends.get(path, 0) + 3
        for place, line in enumerate(function.lines, start):
            texts[path, place] = f"    {line.text}"
            at[line.number] = frame(function.name, filename=path, lineno=place)
        ends[path] = start + len(function.lines)
    kept = [
        (place, line)
        for place, (_, _, function) in enumerate(program.phases)
        for line in function.lines
        if line.kept
    ]
    stacks, nodes = tree(*([main, at[line.number]] for _, line in kept))
    lives = [
        lifetime(node, 2 * place + 2, bytes=line.kept * MB)
        for node, (place, line) in zip(nodes, kept, strict=True)
    ]
    steps = [step for _, name, _ in program.phases for step in (f"+{name}", f"-{name}")]
    recorded = run(*steps, mode=Mode("memray", native=False, python_allocators=True))
    held = {line.number: at[line.number] for _, line in kept}
    return analysed(recorded, stacks, lives, texts), held


def rights(seed: int) -> tuple[int, int, list[str]]:
    """Return the right and all matches of one program and its edit, and what went wrong."""
    random = Random(seed)
    before = made(random)
    after = deepcopy(before)
    for _ in range(random.randint(1, 5)):
        edit(after, random)
    (one, old_lines), (other, new_lines) = report_of(before), report_of(after)
    match = match_lines(one, other)
    wrong = []
    keys = [
        {number: match.before(at) for number, at in old_lines.items()},
        {number: match.after(at) for number, at in new_lines.items()},
    ]
    back = {key: number for number, key in keys[1].items()}
    for number, key in keys[0].items():
        # A line that keeps nothing on one side is not in the stacks of that side.
        if back.get(key) != (number if number in keys[1] else None):
            wrong.append(f"line {old_lines[number]}")
    total = len(keys[0])
    found = compare([("before", one)], [("after", other)])
    names = [{label: number for number, label, _ in program.phases} for program in (before, after)]
    sizes = [
        {number: sum(line.kept for line in called.lines) for number, _, called in program.phases}
        for program in (before, after)
    ]
    for change in found.phases:
        numbers = [
            None if place is None else names[side].get(report.phases[place].name)
            for side, (report, place) in enumerate(((one, change.before), (other, change.after)))
        ]
        if numbers == [None, None]:
            continue  # a segment
        total += 1
        truth = [number if number in sizes[side] else None for side, number in enumerate(numbers)]
        known = next(number for number in truth if number is not None)
        is_right = truth == [known if known in side else None for side in sizes]
        growth = change.figures[Figure.GROWTH]
        for side, values in enumerate((growth.before, growth.after)):
            number = numbers[side]
            is_right &= number is None or values == (sizes[side][number] * MB,)
        if not is_right:
            wrong.append(f"phase {numbers}")
    return total - len(wrong), total, wrong


@pytest.mark.parametrize("first", range(0, PROGRAMS, 60))
def test_random_edits_are_matched_right(first: int) -> None:
    right = total = 0
    wrong = []
    for seed in range(first, first + 60):
        here, of, why = rights(seed)
        right, total = right + here, total + of
        wrong += [(seed, one) for one in why]
    assert right >= LEAST_RIGHT * total, f"{right} of {total}: {wrong[:20]}"
