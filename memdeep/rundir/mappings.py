"""`mappings`: the kernel's memory mappings of the program, as they were read at some checkpoints.

The file begins with a line ``D``, the run's directory, and a line ``T``, the devices of the file
systems in memory. A reading is a block: a line ``R`` with the checkpoint's sequence number,
Python's count of live blocks, and the number of groups that stand before it in its series; then
groups; lines ``S`` on samples of pages; and a last line ``.`` with the nanoseconds of a processor
that the reading took, without which it is torn.

A group has lines of `/proc/self/smaps` (see proc_pid_smaps(5)) on mappings that lie one after
another: their heads, as many of ``Rss:``, and of ``Anonymous:``. Most are the same in all readings:
a line ``=`` stands for groups of its series, by the number of the first, from 0, and by how many
they are. A reading with 0 groups before it begins a series: nothing later refers to what stands
before that. An ``S`` has the start of a mapping, the bytes from one sample to the next, and a digit
a sample: 1 is resident; 2 is resident and not the process's alone, or it is the kernel's page of
zeros, which stands where something was read that nobody wrote, and counts for none.

Imports nothing of memdeep: the writing half runs inside the user's process.
"""

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Container, Iterable, Sequence

ANONYMOUS = "anonymous"
HEAP = "heap"  # the one that brk(2) grows
FILE = "file"
SHARED = "shared"
TRACER = "tracer"  # memray's window on its capture

MAX_ADDRESS = 1 << 64

_KIB = 1024
_MOST_KNOWN = 16_384  # mappings, some megabytes
# What stands for groups, or one: heads of mappings, and their figures in the same order.
_GROUPS = rb"= (\d+) (\d+)\n|((?:[0-9a-f].*\n)+)((?:Rss:.*\n)+)((?:Anonymous:.*\n)+)"
# Of the kernel's own file system in memory, which is mounted nowhere.
_SHARED_NAMES = ("/memfd:", "/SYSV", "/dev/shm/", "/anon_hugepage", "/dmabuf")


class Mapping:
    """One mapping; ``anonymous_bytes`` of its ``rss_bytes`` belong to no file and are not shared.

    ``samples`` are pages of it, evenly spread, that were looked at: True if resident. Readings
    share what is the same in them: a mapping never changes.
    """

    __slots__ = ("anonymous_bytes", "end", "kind", "path", "rss_bytes", "samples", "start")

    def __init__(
        self,
        place: "tuple[int, int]",
        kind: str,
        path: str,
        rss: "tuple[int, int]",
        samples: "tuple[bool, ...]" = (),
    ) -> None:
        self.start, self.end = place
        self.kind = kind
        self.path = path
        self.rss_bytes, self.anonymous_bytes = rss
        self.samples = samples

    def sampled(self, samples: "tuple[bool, ...]") -> "Mapping":
        """Return it with these samples."""
        place, rss = (self.start, self.end), (self.rss_bytes, self.anonymous_bytes)
        return Mapping(place, self.kind, self.path, rss, samples)

    @property
    def mapped_bytes(self) -> int:
        """Resident bytes of a file, or shared."""
        return self.rss_bytes - self.anonymous_bytes


if TYPE_CHECKING:
    Group = tuple[Mapping, ...]  # that lie one after another


class Reading:
    """All mappings at the checkpoint ``sequence``, by address; they do not overlap.

    They come in ``groups``, as the kernel gave them; readings share a group that is the same.
    """

    __slots__ = ("allocated_blocks", "cost_ns", "groups", "sequence")

    def __init__(
        self, sequence: int, allocated_blocks: int, groups: "Sequence[Group]", cost_ns: int
    ) -> None:
        self.sequence = sequence
        self.allocated_blocks = allocated_blocks
        self.groups = groups
        self.cost_ns = cost_ns

    @property
    def mappings(self) -> "list[Mapping]":
        """The mappings of all groups."""
        return [mapping for group in self.groups for mapping in group]


def encode_head(directory: str, devices: "Iterable[str]") -> bytes:
    """Encode the first lines; ``directory`` is the real path of the run's."""
    escaped = directory.encode("utf-8", "surrogateescape").replace(b"\n", b"\\012")
    return b"D %b\nT %b\n" % (escaped, " ".join(devices).encode("ascii"))


def encode_begin(sequence: int, allocated_blocks: int, groups: int) -> bytes:
    """Encode the first line of a reading, ``groups`` being those of its series before it.

    Its own and the last line follow. It ends the line before, which may be torn.
    """
    return b"\nR %d %d %d\n" % (sequence, allocated_blocks, groups)


def encode_same(first: int, count: int) -> bytes:
    """Encode what stands for ``count`` groups of the series, the one numbered ``first`` on."""
    return b"= %d %d\n" % (first, count)


def encode_samples(start: int, step_bytes: int, resident: bytes) -> bytes:
    """Encode what was found of pages of one mapping; ``resident`` has a digit for each."""
    return b"S %x %d %b\n" % (start, step_bytes, resident)


def encode_end(cost_ns: int) -> bytes:
    """Encode the last line of a reading."""
    return b". %d\n" % cost_ns


def memory_devices(mountinfo: bytes) -> "list[str]":
    """Return the devices of file systems in memory, as smaps writes them."""
    devices = []
    for line in mountinfo.split(b"\n"):
        fields, _, kind = line.partition(b" - ")
        if kind.startswith((b"tmpfs ", b"devtmpfs ", b"ramfs ", b"hugetlbfs ")):
            major, _, minor = fields.split(b" ")[2].partition(b":")
            devices.append(f"{int(major):02x}:{int(minor):02x}")
    return sorted(set(devices))


def decode(content: bytes) -> "tuple[list[Reading], int]":
    """Return the readings in the order written, and the number of those that are damaged.

    A torn one does not count as damaged: the program took too long for it, or died. Nor does one
    that was read while another thread mapped memory, or that refers to a reading that is no use.
    """
    decoder = Decoder()
    found = decoder.take(content)
    is_foreign = not content.startswith(b"D "[: len(content)])
    return found, decoder.damaged + (is_foreign or decoder.has_zeros_at_end)


def kept(content: bytes, stay: "Container[int]") -> bytes:
    """Return the first lines, and the readings at ``stay`` and at the start, each as a series.

    ``content`` begins with the first lines, and then with a series. Readings that are torn or
    damaged are left out.
    """
    pattern = _pattern()
    head, *blocks = content.split(b"\nR ")
    parts = [head]
    series: list[bytes] = []
    for content_of_one in blocks:
        with suppress(ValueError):
            block = _Block(content_of_one)
            if not block.before:
                series = []
            if block.before != len(series):
                continue
            groups: list[bytes] = []
            for match in pattern.finditer(block.groups):
                if match[1] is None:
                    series.append(match[0])
                    groups.append(match[0])
                else:
                    first, count = _count(match[1]), _count(match[2])
                    groups += series[first : first + count]
            if block.sequence in stay or not block.sequence:
                samples = [b"S %b\n" % one for one in block.samples]
                begin = encode_begin(block.sequence, block.allocated_blocks, 0)
                parts += [begin, *groups, *samples, encode_end(block.cost_ns)]
    return b"".join(parts)


class _TornError(ValueError):
    """A reading has no last line, or refers to one that cannot be used."""


class _MovedError(ValueError):
    """Mappings overlap: another thread mapped memory while they were read."""


class _Block:
    """The parts of one reading's lines. Raises ValueError if it is torn, or damaged."""

    def __init__(self, content: bytes) -> None:
        body, is_whole, rest = content.partition(b"\n. ")
        if not is_whole:
            raise _TornError
        title, _, body = body.partition(b"\n")
        body, *self.samples = body.split(b"\nS ")
        self.groups = body + b"\n"
        self.sequence, self.allocated_blocks, self.before = map(_count, title.split())
        cost, is_whole, _ = rest.partition(b"\n")
        if not is_whole:
            raise _TornError
        self.cost_ns = _count(cost)


def _pattern() -> "re.Pattern[bytes]":
    import re  # not within the user's process

    return re.compile(_GROUPS)


class Decoder:
    """Decodes readings, piece by piece of the file; ``damaged`` counts those that are no such."""

    def __init__(self) -> None:
        self.damaged = 0
        self._pattern = _pattern()
        self._directory = ""
        self._devices: frozenset[str] = frozenset()
        self._has_head = False
        self._rest = b""
        self._series: list[Group] = []
        self._runs: dict[tuple[int, int], Group] = {}  # of the series
        self._mappings: dict[tuple[bytes, bytes, bytes], Mapping] = {}

    def take(self, lines: bytes) -> "list[Reading]":
        """Return the readings that are whole by now, without those that are torn or damaged."""
        *blocks, self._rest = (self._rest + lines).split(b"\nR ")
        if not self._has_head and blocks:
            self._has_head = True
            self._take_head(blocks.pop(0))
        if self._has_head and b"\n. " in self._rest:
            last = self._rest.rindex(b"\n. ")
            if end := self._rest.find(b"\n", last + 1) + 1:
                blocks.append(self._rest[:end])
                self._rest = self._rest[end:]
        found = []
        for block in blocks:
            try:
                found.append(self._reading(block))
            except (_TornError, _MovedError):
                self.damaged += b"\0" in block
            except (ValueError, IndexError):
                self.damaged += 1
        return found

    @property
    def has_zeros_at_end(self) -> bool:
        """Tell if what is torn at the end was never written as it is."""
        return b"\0" in self._rest

    def _take_head(self, head: bytes) -> None:
        for line in head.split(b"\n"):
            if line.startswith(b"D "):
                self._directory = line[2:].decode("utf-8", "surrogateescape")
            elif line.startswith(b"T "):
                self._devices = frozenset(line[2:].decode("ascii", "replace").split())

    def _reading(self, content: bytes) -> Reading:
        """Put one reading together. Raises ValueError or IndexError if it is torn or damaged."""
        block = _Block(content)
        if not block.before:
            self._series, self._runs = [], {}
        if block.before != len(self._series):
            raise _TornError
        groups = self._groups(block.groups)
        if block.samples:
            groups = _sampled(groups, block.samples)
        return Reading(block.sequence, block.allocated_blocks, groups, block.cost_ns)

    def _groups(self, body: bytes) -> "list[Group]":
        """Return the groups of one reading. Raises ValueError or IndexError if one is damaged."""
        found: list[Group] = []
        size = end = 0
        for match in self._pattern.finditer(body):
            size += match.end() - match.start()
            if match[1] is None:
                group = self._group(match)
                self._series.append(group)
            else:
                group = self._same(_count(match[1]), _count(match[2]))
            if group[0].start < end:
                raise _MovedError
            end = group[-1].end
            found.append(group)
        if size != len(body):
            raise ValueError("there are other lines in it")
        return found

    def _same(self, first: int, count: int) -> "Group":
        """Return groups of the series, as one. Raises ValueError or IndexError if it is damaged.

        Most readings have two or three such, each of very many mappings.
        """
        known = self._runs.get((first, count))
        if known is not None:
            return known
        groups = self._series[first : first + count]
        if len(groups) != count:
            raise _TornError
        found = tuple([mapping for group in groups for mapping in group])
        _check_order(found)
        self._runs[first, count] = found
        return found

    def _group(self, lines: "re.Match[bytes]") -> "Group":
        """Return the group of these lines. Raises ValueError or IndexError if it is damaged.

        Most mappings in it were there before, and so they are the same objects.
        """
        heads, sizes, own = (lines[part].splitlines() for part in (3, 4, 5))
        if not len(heads) == len(sizes) == len(own):
            raise ValueError("a mapping has no figures")
        group = tuple([self._mapping(*one) for one in zip(heads, sizes, own)])  # noqa: B905
        _check_order(group)
        return group

    def _mapping(self, head: bytes, size: bytes, own: bytes) -> Mapping:
        known = self._mappings.get((head, size, own))
        if known is None:
            rss, anonymous = _KIB * _count(size.split()[1]), _KIB * _count(own.split()[1])
            sizes = rss, min(anonymous, rss)
            known = _mapping(head, sizes, self._directory, self._devices)
            if len(self._mappings) == _MOST_KNOWN:
                self._mappings.clear()
            self._mappings[head, size, own] = known
        return known


def _check_order(group: "Group") -> None:
    """Raise ValueError if mappings overlap."""
    if any(one.end > other.start for one, other in zip(group, group[1:])):  # noqa: B905
        raise _MovedError


def _sampled(groups: "list[Group]", lines: "list[bytes]") -> "list[Group]":
    """Return the groups with their samples."""
    samples: dict[int, bytes] = {}
    for line in lines:
        start, _, digits = line.split()
        samples[int(start, 16)] = digits
    found = []
    for group in groups:
        if any(one.start in samples for one in group):
            sampled = [_with_samples(one, samples.get(one.start)) for one in group]
            group = tuple(sampled)
        found.append(group)
    return found


def _with_samples(mapping: Mapping, digits: "bytes | None") -> Mapping:
    """Return a mapping with its samples: what may be resident, if the rest does not make its RSS.

    After a fork its pages are shared; the page of zeros is no part of the RSS.
    """
    if digits is None:
        return mapping
    sure, maybe = digits.count(b"1"), digits.count(b"2")
    expected = len(digits) * mapping.rss_bytes / (mapping.end - mapping.start)
    counts_all = abs(sure + maybe - expected) < abs(sure - expected)
    resident = b"12" if counts_all else b"1"
    return mapping.sampled(tuple(digit in resident for digit in digits))


def _mapping(
    head: bytes, rss: "tuple[int, int]", directory: str, devices: "frozenset[str]"
) -> Mapping:
    fields = head.decode("utf-8", "surrogateescape").split(None, 5)
    start, _, end = fields[0].partition("-")
    path = fields[5] if len(fields) > 5 else ""
    kind = _kind(path, fields[3], directory, devices)
    if kind == ANONYMOUS:
        rss = rss[0], rss[0]
    place = int(start, 16), int(end, 16)
    if not 0 <= place[0] < place[1] < MAX_ADDRESS:
        raise ValueError("a mapping ends before it begins")
    return Mapping(place, kind, path, rss)


def _kind(path: str, device: str, directory: str, devices: "frozenset[str]") -> str:
    if path == "[heap]":
        return HEAP
    # "[anon:…]" has a name that a program gave it; mappings of /dev/zero belong to this process and
    # to the children that it forks, and are gone with them.
    if not path.startswith("/") or path.startswith("/dev/zero"):
        return ANONYMOUS
    folder, _, name = path.rpartition("/")
    if folder == directory and name.startswith("capture") and name.endswith(".bin"):
        return TRACER
    if device in devices or path.startswith(_SHARED_NAMES):
        return SHARED
    return FILE


def _count(digits: bytes) -> int:
    """Return the number that ``digits`` are. Raises ValueError."""
    value = int(digits)
    if not 0 <= value < MAX_ADDRESS:
        raise ValueError(f"not a count: {value}")
    return value
