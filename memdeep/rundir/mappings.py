"""`mappings`: the kernel's memory mappings of the program, as they were read at some checkpoints.

The file begins with a line ``D``, the run's directory, and a line ``T``, the devices of the file
systems in memory. A reading is a block: a line ``R`` with the checkpoint's sequence number and
Python's count of live blocks; then lines of `/proc/self/smaps` (see proc_pid_smaps(5)), as many of
``Rss:`` and of ``Anonymous:`` as there are heads of mappings, each kind in their order; lines ``S``
on samples of pages; and a last line ``.`` with the nanoseconds of a processor that the reading
took, without which it is torn. An ``S`` has the start of a mapping, the bytes from one sample to
the next, and a digit a sample: 1 is resident.

Imports nothing of memdeep: the writing half runs inside the user's process.
"""

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

ANONYMOUS = "anonymous"
HEAP = "heap"  # the one that brk(2) grows
FILE = "file"
SHARED = "shared"
TRACER = "tracer"  # memray's window on its capture

MAX_ADDRESS = 1 << 64

_KIB = 1024
# What the kernel gave at a time: heads of mappings, and the figures of these in the same order.
_GROUP = rb"((?:[0-9a-f].*\n)+)((?:Rss:.*\n)+)((?:Anonymous:.*\n)+)"
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


def encode_begin(sequence: int, allocated_blocks: int) -> bytes:
    """Encode the first line of a reading; its lines of smaps and the last one follow.

    It ends the line before, which may be torn.
    """
    return b"\nR %d %d\n" % (sequence, allocated_blocks)


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


def decode(content: bytes) -> "list[Reading]":
    """Return the readings in the order written, without those that are torn or damaged."""
    head, *blocks = content.split(b"\nR ")
    groups = _Groups(head)
    found = []
    for block in blocks:
        with suppress(ValueError, IndexError):
            found.append(_reading(block, groups))
    return found


class _Groups:
    """Groups of mappings by their lines: most are the same in all readings, and are one."""

    def __init__(self, head: bytes) -> None:
        import re  # not within the user's process

        self.pattern = re.compile(_GROUP)
        self._directory = ""
        self._devices: frozenset[str] = frozenset()
        for line in head.split(b"\n"):
            if line.startswith(b"D "):
                self._directory = line[2:].decode("utf-8", "surrogateescape")
            elif line.startswith(b"T "):
                self._devices = frozenset(line[2:].decode("ascii", "replace").split())
        self._known: dict[bytes, Group] = {}

    def of(self, lines: "re.Match[bytes]") -> "Group":
        """Return the group of these lines. Raises ValueError or IndexError if it is damaged."""
        known = self._known.get(lines[0])
        if known is None:
            heads, sizes, own = (part.splitlines() for part in lines.groups())
            if not len(heads) == len(sizes) == len(own):
                raise ValueError("a mapping has no figures")
            known = tuple(map(self._mapping, heads, sizes, own))
            if any(one.end > other.start for one, other in zip(known, known[1:])):  # noqa: B905
                raise ValueError("mappings overlap")
            self._known[lines[0]] = known
        return known

    def _mapping(self, head: bytes, size: bytes, own: bytes) -> Mapping:
        rss, anonymous = _KIB * _count(size.split()[1]), _KIB * _count(own.split()[1])
        return _mapping(head, (rss, min(anonymous, rss)), self._directory, self._devices)


def _reading(block: bytes, groups: _Groups) -> Reading:
    """Put one reading together. Raises ValueError or IndexError if it is torn or damaged."""
    body, is_whole, rest = block.partition(b"\n. ")
    if not is_whole:
        raise ValueError("it is torn")
    title, _, body = body.partition(b"\n")
    body, *samples = body.split(b"\nS ")
    sequence, blocks = title.split()
    found = []
    size = 0
    for match in groups.pattern.finditer(body + b"\n"):
        found.append(groups.of(match))
        size += match.end() - match.start()
    if size != len(body) + 1:
        raise ValueError("there are other lines in it")
    end = 0
    for group in found:
        if group[0].start < end:
            raise ValueError("mappings overlap")
        end = group[-1].end
    if samples:
        found = _sampled(found, samples)
    return Reading(_count(sequence), _count(blocks), found, _count(rest.split(b"\n", 1)[0]))


def _sampled(groups: "list[Group]", lines: "list[bytes]") -> "list[Group]":
    """Return the groups with their samples."""
    samples = {}
    for line in lines:
        start, _, digits = line.split()
        samples[int(start, 16)] = tuple(digit == 0x31 for digit in digits)
    return [
        tuple(
            [
                mapping.sampled(samples[mapping.start]) if mapping.start in samples else mapping
                for mapping in group
            ]
        )
        if any(mapping.start in samples for mapping in group)
        else group
        for group in groups
    ]


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
