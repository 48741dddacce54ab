"""Finds the lines of one program again in an edited one, by their texts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from memdeep.analysis.compare.code import Code, letters
from memdeep.analysis.compare.files import renamed_files
from memdeep.frozen import frozen
from memdeep.model import Frame, Origin, Report
from memdeep.model.comparison import LineAt, Match

MIN_LIKENESS = 0.5
MIN_LETTERS = 2  # of a line that is looked for beyond its own function
MAX_PAIRS = 10_000  # of lines of one function that are held against one another

Pair = tuple[LineAt | None, LineAt | None]
Function = tuple[str, str]  # its file and its name
NOWHERE: Function = ("", "")
Numbered = dict[Function, list[tuple[int, int]]]


@frozen
class LineMatch:
    """The frames of two reports, matched: equal keys are the same line.

    ``files`` has by its path before the path after of each file that was renamed. ``lines`` has for
    each key the line on both sides; one of them is None for what is on one side only.
    """

    files: Mapping[str, str]
    lines: Sequence[Pair]
    keys_before: Mapping[Frame, int]
    keys_after: Mapping[Frame, int]

    def before(self, frame: Frame) -> int:
        """Return the key of a frame of the tree before."""
        return self.keys_before[frame]

    def after(self, frame: Frame) -> int:
        """Return the key of a frame of the tree after."""
        return self.keys_after[frame]

    def match(self, key: int) -> Match:
        """Return how the line of ``key`` was found again; one that only shifted is the same."""
        old, new = self.lines[key]
        if old is None:
            return Match.ADDED
        if new is None:
            return Match.REMOVED
        if old.text != new.text and None not in (old.text, new.text):
            return Match.EDITED
        is_there = self.files.get(old.path, old.path) == new.path
        is_same = is_there and old.frame.function == new.frame.function
        return Match.SAME if is_same else Match.MOVED


def match_lines(before: Report, after: Report) -> LineMatch:
    """Match all frames of two reports."""
    return match_code(Code(before), Code(after))


def match_code(before: Code, after: Code) -> LineMatch:
    """Match all frames of two sides.

    Lines are the same by file, function, text and place among equals; else by function and text
    (the function moved to another file), else by file and text (the function was renamed). What is
    left in one function was edited, if it is alike. Lines without text go by file, function and
    place in it, or by their number.
    """
    files = renamed_files(before, after)
    matching = _Matching(before, after, files)
    matching.by_name()
    matching.by_text(lambda line, path: (path, line.frame.function, line.text))
    matching.by_text(lambda line, path: (line.frame.function, line.text), MIN_LETTERS)
    matching.by_text(lambda line, path: (path, line.text), MIN_LETTERS)
    matching.without_text()
    matching.edited()
    return matching.result()


class _Matching:
    """Lines that are matched, and those that are left."""

    def __init__(self, before: Code, after: Code, files: Mapping[str, str]) -> None:
        self._before, self._after = before, after
        self._files = files
        self._pairs: list[Pair] = []
        self._same_before: dict[Frame, int] = {}
        self._same_after: dict[Frame, int] = {}
        self._old = dict.fromkeys(sorted(before.lines, key=_place))
        self._new = dict.fromkeys(sorted(after.lines, key=_place))

    def by_name(self) -> None:
        """Match threads and native functions, which have names and no lines of ours."""
        keys: dict[Hashable, int] = {}
        for lines, known in ((self._old, self._same_before), (self._new, self._same_after)):
            for line in [line for line in lines if _is_named(line.frame)]:
                del lines[line]
                frame = line.frame
                number = frame.lineno if frame.origin is Origin.THREAD else 0
                key = (frame.origin, frame.function, frame.filename, number)
                if key not in keys:
                    keys[key] = len(self._pairs)
                    self._pairs.append((None, None))
                old, new = self._pairs[keys[key]]
                is_old = known is self._same_before
                self._pairs[keys[key]] = (old or line, new) if is_old else (old, new or line)
                known[frame] = keys[key]

    def by_text(self, key: Callable[[LineAt, str], Hashable], least: int = 0) -> None:
        """Match lines of the same ``key``, which is made of a line and its path after.

        Lines with fewer than ``least`` letters are left.
        """
        old = self._grouped(self._old, key, least, self._files)
        new = self._grouped(self._new, key, least, {})
        for one, olds in old.items():
            news = new.get(one)
            if news is None:
                continue
            if len(olds) != len(news) and len(olds) * len(news) <= MAX_PAIRS:
                for first, second in self._by_surroundings(olds, news):
                    self._take(first, second)
            else:
                for first, second in zip(olds, news, strict=False):
                    self._take(first, second)

    def without_text(self) -> None:
        """Match lines whose text is not known on both sides by their place in the function."""
        old = self._by_function(self._old, self._files)
        new = self._by_function(self._new, {})
        for function, olds in old.items():
            news = new.get(function, [])
            texts = [line.text for line in olds], [line.text for line in news]
            if not news or (None not in texts[0] and None not in texts[1]):
                continue
            if len(olds) == len(news):
                for first, second in zip(olds, news, strict=True):
                    if first.text is None or second.text is None:
                        self._take(first, second)
                continue
            by_number = {line.frame.lineno: line for line in news}
            for first in olds:
                second_one = by_number.get(first.frame.lineno)
                if second_one is not None and None in (first.text, second_one.text):
                    self._take(first, second_one)

    def edited(self) -> None:
        """Match what is left in one function, and alike: it was edited."""
        functions = self._functions()
        taken = {*functions.values()}
        matched = self._matched()
        new = self._by_function(self._new, {})
        for function, olds in self._by_function(self._old, self._files).items():
            stays = function not in functions and function not in taken
            news = new.get(function if stays else functions.get(function, NOWHERE), [])
            if not news or len(olds) * len(news) > MAX_PAIRS:
                continue
            gaps = [
                [_gap(line, known) for line in lines]
                for lines, known in zip((olds, news), matched, strict=True)
            ]
            alone = [Counter(found) for found in gaps]
            rated = []
            for place, first in enumerate(olds):
                for other, second in enumerate(news):
                    gap = gaps[0][place]
                    is_near = gap == gaps[1][other]
                    is_only = is_near and alone[0][gap] == alone[1][gap] == 1
                    alike = likeness(first.text, second.text)
                    if alike >= MIN_LIKENESS or is_only:
                        rank = (-alike - is_near / 4, *_distance(place, other))
                        rated.append((rank, first, second))
            for _, first, second in sorted(rated, key=lambda one: one[0]):
                if first in self._old and second in self._new:
                    self._take(first, second)

    def result(self) -> LineMatch:
        """Return the match; what is left is on one side only."""
        for old in self._old:
            self._same_before[old.frame] = len(self._pairs)
            self._pairs.append((old, None))
        for new in self._new:
            self._same_after[new.frame] = len(self._pairs)
            self._pairs.append((None, new))
        return LineMatch(self._files, tuple(self._pairs), self._same_before, self._same_after)

    def _take(self, old: LineAt, new: LineAt) -> None:
        del self._old[old], self._new[new]
        self._same_before[old.frame] = self._same_after[new.frame] = len(self._pairs)
        self._pairs.append((old, new))

    def _grouped(
        self,
        lines: Iterable[LineAt],
        key: Callable[[LineAt, str], Hashable],
        least: int,
        files: Mapping[str, str],
    ) -> Mapping[Hashable, list[LineAt]]:
        found: dict[Hashable, list[LineAt]] = {}
        for line in lines:
            if line.text is not None and letters([line.text], least):
                found.setdefault(key(line, files.get(line.path, line.path)), []).append(line)
        return found

    def _by_function(
        self, lines: Iterable[LineAt], files: Mapping[str, str]
    ) -> Mapping[Function, list[LineAt]]:
        found: dict[Function, list[LineAt]] = {}
        for line in lines:
            path = files.get(line.path, line.path)
            found.setdefault((path, line.frame.function), []).append(line)
        return found

    def _by_surroundings(
        self, olds: Sequence[LineAt], news: Sequence[LineAt]
    ) -> Iterable[tuple[LineAt, LineAt]]:
        """Pair equal lines of which one side has more: those with the same lines around first."""
        around = {line: self._before.around(line) for line in olds}
        around_new = {line: self._after.around(line) for line in news}
        rated = sorted(
            (-len(around[first] & around_new[second]), *_distance(place, other), place, other)
            for place, first in enumerate(olds)
            for other, second in enumerate(news)
        )
        taken: set[tuple[bool, int]] = set()
        for *_, place, other in rated:
            if not taken & {(False, place), (True, other)}:
                taken |= {(False, place), (True, other)}
                yield olds[place], news[other]

    def _functions(self) -> Mapping[Function, Function]:
        """Return for each function before the one after that has most of its lines."""
        votes: Counter[tuple[Function, Function]] = Counter()
        for old, new in self._pairs:
            if old is not None and new is not None and not _is_named(old.frame):
                path = self._files.get(old.path, old.path)
                votes[(path, old.frame.function), (new.path, new.frame.function)] += 1
        found: dict[Function, Function] = {}
        taken: set[Function] = set()
        for (old_one, new_one), _ in sorted(
            votes.items(), key=lambda one: (-one[1], one[0][0] != one[0][1], sorted(one[0]))
        ):
            if old_one not in found and new_one not in taken:
                found[old_one] = new_one
                taken.add(new_one)
        return found

    def _matched(self) -> tuple[Numbered, Numbered]:
        """Return the matched lines of each function on both sides: their numbers and keys."""
        sides: tuple[Numbered, Numbered] = {}, {}
        for key, pair in enumerate(self._pairs):
            for line, found in zip(pair, sides, strict=True):
                if line is not None:
                    found.setdefault(_function(line), []).append((line.frame.lineno, key))
        for found in sides:
            for numbers in found.values():
                numbers.sort()
        return sides


def _gap(line: LineAt, matched: Numbered) -> int | None:
    """Return the key of the matched line before ``line`` in its function, if there is one."""
    numbers = matched.get(_function(line), [])
    place = bisect_left(numbers, (line.frame.lineno, -1))
    return numbers[place - 1][1] if place else None


def _distance(place: int, other: int) -> tuple[int, int]:
    """Return what ranks pairs of places, the same whichever side comes first."""
    return abs(place - other), min(place, other)


def likeness(one: str | None, other: str | None) -> float:
    """Return the likeness of two texts from 0 to 1; 0 where one is not known."""
    if one is None or other is None:
        return 0.0
    # Which text is the first matters to the matcher; it must not matter which run is.
    first, second = sorted((one, other))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < MIN_LIKENESS or matcher.quick_ratio() < MIN_LIKENESS:
        return 0.0
    return matcher.ratio()


def _is_named(frame: Frame) -> bool:
    return frame.origin in (Origin.THREAD, Origin.NATIVE)


def _function(line: LineAt) -> Function:
    return line.path, line.frame.function


def _place(line: LineAt) -> tuple[str, int, str]:
    return line.path, line.frame.lineno, line.frame.function
