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
    from collections.abc import Iterable, Iterator, Sequence

ANONYMOUS = "anonymous"
HEAP = "heap"  # the one that brk(2) grows
FILE = "file"
SHARED = "shared"
TRACER = "tracer"  # memray's window on its capture

MAX_ADDRESS = 1 << 64

_KIB = 1024
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


class Reading:
    """All mappings at the checkpoint ``sequence``, by address; they do not overlap."""

    __slots__ = ("allocated_blocks", "cost_ns", "mappings", "sequence")

    def __init__(
        self, sequence: int, allocated_blocks: int, mappings: "Sequence[Mapping]", cost_ns: int
    ) -> None:
        self.sequence = sequence
        self.allocated_blocks = allocated_blocks
        self.mappings = mappings
        self.cost_ns = cost_ns


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
    return list(_readings(content.split(b"\n")))


def _readings(lines: "Sequence[bytes]") -> "Iterator[Reading]":
    read = _Mappings("", frozenset())
    block: list[bytes] = []
    for line in lines:
        mark = line[:2]
        if mark == b"D ":
            read = _Mappings(line[2:].decode("utf-8", "surrogateescape"), read.devices)
        elif mark == b"T ":
            devices = frozenset(line[2:].decode("ascii", "replace").split())
            read = _Mappings(read.directory, devices)
        elif mark == b"R ":
            block = [line]
        elif mark == b". " and block:
            with suppress(ValueError, IndexError):
                yield _reading(block, _count(line[2:]), read)
            block = []
        elif block and line:
            block.append(line)


class _Mappings:
    """Mappings by their lines: most are the same in all readings, and are one."""

    def __init__(self, directory: str, devices: "frozenset[str]") -> None:
        self.directory = directory
        self.devices = devices
        self._known: dict[tuple[bytes, bytes, bytes], Mapping] = {}

    def of(self, head: bytes, rss: bytes, anonymous: bytes) -> Mapping:
        """Return the mapping of these lines. Raises ValueError or IndexError if one is damaged."""
        lines = head, rss, anonymous
        known = self._known.get(lines)
        if known is None:
            size, own = _KIB * _count(rss.split()[1]), _KIB * _count(anonymous.split()[1])
            known = _mapping(head, (size, min(own, size)), self.directory, self.devices)
            self._known[lines] = known
        return known


def _reading(block: "Sequence[bytes]", cost_ns: int, read: _Mappings) -> Reading:
    """Put one reading together. Raises ValueError or IndexError if it is damaged."""
    _, sequence, blocks = block[0].split()
    heads, rss, anonymous = [], [], []
    samples = {}
    for line in block[1:]:
        if line.startswith(b"Rss:"):
            rss.append(line)
        elif line.startswith(b"Anonymous:"):
            anonymous.append(line)
        elif line.startswith(b"S "):
            _, start, _, digits = line.split()
            samples[int(start, 16)] = tuple(digit == 0x31 for digit in digits)
        else:
            heads.append(line)
    if not len(heads) == len(rss) == len(anonymous):
        raise ValueError("a mapping has no figures")
    mappings = []
    end = 0
    for lines in zip(heads, rss, anonymous):  # noqa: B905 - of one length
        mapping = read.of(*lines)
        if not end <= mapping.start < mapping.end < MAX_ADDRESS:
            raise ValueError("mappings overlap")
        end = mapping.end
        if mapping.start in samples:
            mapping = mapping.sampled(samples[mapping.start])
        mappings.append(mapping)
    return Reading(_count(sequence), _count(blocks), mappings, cost_ns)


def _mapping(
    head: bytes, rss: "tuple[int, int]", directory: str, devices: "frozenset[str]"
) -> Mapping:
    fields = head.decode("utf-8", "surrogateescape").split(None, 5)
    start, _, end = fields[0].partition("-")
    path = fields[5] if len(fields) > 5 else ""
    kind = _kind(path, fields[3], directory, devices)
    if kind == ANONYMOUS:
        rss = rss[0], rss[0]
    return Mapping((int(start, 16), int(end, 16)), kind, path, rss)


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
