"""Reads exports back, as plainly as their formats allow: sums of bytes by phase and figure."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memdeep.analysis.accounts import Metric
from memdeep.model import Report
from memdeep.report.exports.formats import BY_NAME
from memdeep.report.exports.options import ExportOptions

Sums = Mapping[tuple[str, str], int]  # by the path of a phase and a figure
FIELDS = {
    "kept": "kept_bytes",
    "retained": "retained_bytes",
    "freed": "released_bytes",
    "peak": "peak_heap_bytes",
    "allocated": "allocated_bytes",
}


def exported(name: str, report: Report, options: ExportOptions | None = None) -> bytes:
    """``report`` in the format ``name``."""
    return b"".join(BY_NAME[name].encode(report, options or ExportOptions()))


def sums_of(name: str, report: Report) -> dict[str, Sums]:
    """What a format says of each phase, by the figures it says anything of."""
    found: dict[str, dict[tuple[str, str], int]] = {}
    if name == "collapsed":
        for metric in Metric:
            if metric is Metric.ALLOCATED and report.heap.transients is None:
                continue
            content = exported(name, report, ExportOptions(metric=metric))
            found[metric.value] = collapsed(content, metric.value)
    elif name == "speedscope":
        for metric in Metric:
            if metric is Metric.ALLOCATED and report.heap.transients is None:
                continue
            content = exported(name, report, ExportOptions(metric=metric))
            found[metric.value] = speedscope(content)
    elif name == "pprof":
        profile = Profile.decoded(exported(name, report))
        for kind in ("retained", "kept", "alloc"):
            if f"{kind}_space" in profile.types:
                figure = "allocated" if kind == "alloc" else kind
                found[figure] = {
                    (path, figure): size for path, size in profile.by_phase(f"{kind}_space").items()
                }
    elif name == "csv":
        content = exported(name, report, ExportOptions(table="lines"))
        for figure in FIELDS:
            found[figure] = lines_of_csv(content, figure)
    return found


def collapsed(content: bytes, figure: str) -> Sums:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for line in content.decode().splitlines():
        stack, _, size = line.rpartition(" ")
        frames = stack.split(";")
        assert len(frames) >= 2
        sums[frames[0].replace("\\x3b", ";"), figure] += int(size)
    return sums


def speedscope(content: bytes) -> Sums:
    fields = json.loads(content)
    sums = {}
    for profile in fields["profiles"]:
        assert sum(profile["weights"]) == profile["endValue"]
        path, _, figure = profile["name"].rpartition(": ")
        sums[path, figure] = profile["endValue"]
    assert len(sums) == len(fields["profiles"])
    return sums


def rows_of_csv(content: bytes) -> list[dict[str, str]]:
    import csv

    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def lines_of_csv(content: bytes, figure: str) -> Sums:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    column = "peak_bytes" if figure == "peak" else FIELDS[figure]
    for row in rows_of_csv(content):
        if row["process"] == "0" and row[column]:
            sums[row["phase"].removeprefix("'"), figure] += int(row[column])
    return sums


def retained_in(profile: Mapping[str, Any], start_ms: float, end_ms: float) -> int:
    """The bytes that the Firefox Profiler shows as retained between two moments, of all tracks.

    As its `filterToRetainedAllocations` does: what was freed is known by its address.
    """
    total = 0
    for thread in profile["threads"]:
        table = thread.get("nativeAllocations")
        if table is None:
            continue
        alive: dict[int, int] = {}
        rows = zip(table["time"], table["weight"], table["memoryAddress"], strict=True)
        for time_ms, weight, address in rows:
            if start_ms <= time_ms < end_ms:
                if weight > 0:
                    alive[address] = weight
                else:
                    alive.pop(address, None)
        total += sum(alive.values())
    return total


def phases_in(profile: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """The path of each stretch of a phase, where it starts and where it ends."""
    markers = profile["threads"][0]["markers"]
    for data, start, end in zip(
        markers["data"], markers["startTime"], markers["endTime"], strict=True
    ):
        if data["type"] in ("memdeep phase", "memdeep segment"):
            yield data["path"], start, end


# The wire of Protocol Buffers, and the messages of pprof's profile.proto.


def fields_of(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and the value of each field of a message."""
    file = io.BytesIO(content)
    while file.tell() < len(content):
        tag = _varint(file)
        if tag & 7 == 0:
            yield tag >> 3, _varint(file)
        else:
            assert tag & 7 == 2
            size = _varint(file)
            value = file.read(size)
            assert len(value) == size
            yield tag >> 3, value


def _varint(file: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _numbers(content: bytes) -> Sequence[int]:
    file = io.BytesIO(content)
    found = []
    while file.tell() < len(content):
        value = _varint(file)
        found.append(value - (1 << 64) if value >> 63 else value)
    return found


@dataclass
class Sample:
    stack: Sequence[tuple[str, str, int]]  # function, file, line; innermost first
    values: Sequence[int]
    labels: Mapping[str, list[str]]


@dataclass
class Profile:
    """A profile of pprof, decoded by the plainest means."""

    types: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fields: dict[int, list[Any]] = field(default_factory=dict)

    @staticmethod
    def decoded(content: bytes) -> Profile:
        assert content[:4] == b"\x1f\x8b\x08\x00"
        assert content[4:8] == bytes(4), "there is a time in it"
        all_fields: dict[int, list[Any]] = defaultdict(list)
        for number, value in fields_of(zlib.decompress(content, wbits=31)):
            all_fields[number].append(value)
        texts = [value.decode() for value in all_fields[6]]
        assert texts[0] == ""
        assert len({*texts}) == len(texts)
        functions = {}
        for message in all_fields[5]:
            one = dict(fields_of(message))
            assert texts[one[2]] != texts[one[3]], "pprof would cut its name"
            functions[one[1]] = (texts[one[2]], texts[one.get(4, 0)])
        locations = {}
        for message in all_fields[4]:
            one = dict(fields_of(message))
            line = dict(fields_of(one[4]))
            assert one[2] == 1
            locations[one[1]] = (*functions[line[1]], line.get(2, 0))
        types = []
        for message in all_fields[1]:
            one = dict(fields_of(message))
            types.append(texts[one[1]])
            assert texts[one[2]] == ("bytes" if types[-1].endswith("_space") else "count")
        samples = []
        for message in all_fields[2]:
            labels: dict[str, list[str]] = defaultdict(list)
            values: Sequence[int] = ()
            stack: Sequence[tuple[str, str, int]] = ()
            for number, value in fields_of(message):
                assert isinstance(value, bytes)
                if number == 1:
                    stack = [locations[place] for place in _numbers(value)]
                elif number == 2:
                    values = _numbers(value)
                else:
                    label = dict(fields_of(value))
                    labels[texts[label[1]]].append(texts[label[2]])
            assert stack
            assert len(values) == len(types)
            assert min(values) >= 0
            samples.append(Sample(stack, values, labels))
        return Profile(types, samples, texts, dict(all_fields))

    def by_phase(self, kind: str) -> Mapping[str, int]:
        """The sums of a type of samples by the label ``phase``."""
        column, sums = self.types.index(kind), defaultdict[str, int](int)
        for sample in self.samples:
            for path in sample.labels.get("phase", ()):
                sums[path] += sample.values[column]
        return sums

    def total(self, kind: str) -> int:
        column = self.types.index(kind)
        return sum(sample.values[column] for sample in self.samples)


def unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
