"""The process's place in the tree of the run: where it came from, what it starts, how that ends.

Writes `births.jsonl` of the run, and makes the run directories of the processes that the program
starts. Knows no tracer. Nothing here raises into the program: what cannot be written is lost.
"""

import os
import sys
import threading
import time
from _thread import get_ident
from contextlib import suppress
from itertools import count

from memdeep.record.appending import AppendedFile
from memdeep.record.how import NONE, HowToRecord
from memdeep.record.marks.frame import is_own
from memdeep.rundir import births

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

VARIABLE = "MEMDEEP_TREE"  # names the run directory, to the programs that this one starts
HOOK = "memdeep_children.pth"  # starts the recording in these, from `site-packages`

MAX_ORIGINS = 4096  # kept so that each is written once
MAX_WORD = 1000  # characters of a word of a command that are kept

# What tells a process its number among those of a parallel program, how many these are, and what
# people call it: of torchrun, Open MPI, MPICH and its like, Slurm. The innermost comes first.
RANKS = (
    ("RANK", "WORLD_SIZE", "rank"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "rank"),
    ("PMI_RANK", "PMI_SIZE", "rank"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "task"),
)
MAX_DIGITS = 9  # of a number in a variable


class Tree:
    """Processes of the run in ``run_dir``, seen from this one.

    ``how`` says how they are to be recorded. ``is_open`` is False once this process is not
    recorded any more.
    """

    __slots__ = (
        "_births",
        "_getpid",
        "_how",
        "_is_full",
        "_main_id",
        "_monotonic_ns",
        "_numbers",
        "_open",
        "_origins",
        "_path",
        "_read",
        "_self",
        "about_to_exec",
        "is_open",
    )

    def __init__(self, run_dir: str, how: HowToRecord) -> None:
        """Raises OSError if the births cannot be written."""
        self._how = how
        self._path = os.path.abspath(run_dir)
        self._getpid = os.getpid
        self._open = os.open
        self._read = os.read
        self._monotonic_ns = time.monotonic_ns
        self._main_id = threading.main_thread().ident
        self._origins: dict[tuple[object, ...], int] = {}
        self._numbers = count(1)
        self._self = self._ancestors(1)[0]
        self._is_full = False
        self._births = AppendedFile(f"{self._path}/births.jsonl")
        # Threads that are about to fork in order to become another program.
        self.about_to_exec: set[int] = set()
        self.is_open = True

    @property
    def assignment(self) -> str:
        """The variable of the environment, as a program is given it."""
        return f"{VARIABLE}={self._path}"

    @property
    def orders(self) -> str:
        """Path of the pipe for orders of the parent to the processes that are recorded."""
        return _orders_file(self._path)

    @property
    def follows(self) -> bool:
        """Tell if the processes that this one starts are to be recorded."""
        return self._how.children != NONE

    def invite(self) -> None:
        """Let Pythons that this process starts find the run; `os.environ` does not show it."""
        os.putenv(VARIABLE, self._path)

    def refuse(self) -> None:
        """Let no other process of the run be recorded; those that are go on."""
        self._is_full = True
        with suppress(OSError):
            os.unlink(_how_file(self._path))

    def close(self) -> None:
        """This process is not recorded any more."""
        self.is_open = False
        if self.follows:
            os.unsetenv(VARIABLE)

    def close_files(self) -> None:
        """Write nothing any more: this process goes on unrecorded."""
        self._births.close()

    def new_directory(self) -> "str | None":
        """Make a run directory for this process; None where there are enough, or it cannot be.

        A process that has become another program is still one, and has a second directory.
        """
        children = f"{self._path}/children"
        first = f"{children}/{self._getpid()}"
        try:
            is_second = os.path.lexists(first) and not os.path.lexists(f"{first}-2")
            if self._is_full or not (is_second or self._claim()):
                self._is_full = True
                return None
            os.makedirs(children, 0o700, exist_ok=True)
            number = 1
            while True:
                name = f"{self._getpid()}" + (f"-{number}" if number > 1 else "")
                try:
                    os.mkdir(f"{children}/{name}", 0o700)
                except FileExistsError:
                    number += 1
                    continue
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(self._open(f"{children}/{name}/journal.jsonl", flags, 0o600))
                return f"{children}/{name}"
        except OSError:
            return None

    def _claim(self) -> bool:
        """Claim one of the directories that there may be; False if none is left. Raises OSError.

        Each process appends a byte: the kernel puts it behind those of all others.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        file = self._open(_claims_file(self._path), flags)
        try:
            if os.fstat(file).st_size >= self._how.most_children:
                return False
            os.write(file, b".")
            return os.lseek(file, 0, os.SEEK_CUR) <= self._how.most_children
        finally:
            os.close(file)

    def origin(self, frame: "FrameType | None") -> int:
        """Return the number of the place that ``frame`` is in, in this thread; write it if new."""
        places: list[tuple[CodeType, int]] = []
        thread_id = get_ident()
        key: list[object] = [thread_id]
        while frame is not None and len(places) < births.MAX_FRAMES:
            code = frame.f_code
            if not is_own(code.co_filename):
                places.append((code, frame.f_lineno))
            frame = frame.f_back
        key += places
        found = self._origins.get(tuple(key))
        if found is not None:
            return found
        if len(self._origins) >= MAX_ORIGINS:
            self._origins.clear()
        number = self._origins[tuple(key)] = next(self._numbers)
        stack = ((code.co_filename, line, code.co_name) for code, line in places)
        is_main = thread_id == self._main_id
        self._write(
            births.encode_origin(self._getpid(), number, 0 if is_main else thread_id, stack)
        )
        return number

    def started(self, pid: int, origin: int) -> None:
        """Note that this process has started another program, the process ``pid``."""
        self._write(births.encode_started(pid, self._getpid(), origin, self._monotonic_ns()))

    def now_ns(self) -> int:
        """Return the time that its lines have."""
        return self._monotonic_ns()

    def born(
        self,
        how: str,
        directory: "str | None",
        origin: "int | None" = None,
        command: "list[str] | None" = None,
        begun_ns: int = 0,
    ) -> None:
        """Note that this process has begun, and that it is recorded in ``directory``.

        ``command`` tells people more than its own does; ``begun_ns`` is not now, if it is given.
        """
        name = None if directory is None else os.path.basename(directory)
        # A fork's command is that of its parent.
        if command is None:
            command = _command(self._how.redact_args) if how == births.EXEC else []
        most = births.MAX_ANCESTORS if how == births.EXEC else 2
        ancestors, forked_by = self._ancestors(most), self._self
        self._self = ancestors[0]
        if how == births.FORK:  # who forked it may have ended by now, as where it becomes a daemon
            ancestors = [ancestors[0], forked_by]
        python = ".".join(map(str, sys.version_info[:3]))
        self._write(
            births.encode_born(
                how,
                ancestors,
                origin,
                name,
                [word[:MAX_WORD] for word in command],
                python,
                begun_ns or self._monotonic_ns(),
            )
        )

    def asked(self, pid: int) -> None:
        """Note that this process is about to ask the process ``pid`` to end."""
        self._write(births.encode_asked(pid, self._getpid(), self._monotonic_ns()))

    def ended(self, pid: int, status: int) -> None:
        """Note how the process ``pid`` has ended."""
        self._write(births.encode_ended(pid, status, self._monotonic_ns()))

    def renew(self) -> None:
        """Begin anew in a forked child, which has places of its own."""
        self._origins = {}
        self._numbers = count(1)
        self._main_id = threading.main_thread().ident
        self._births.keep()

    def _ancestors(self, most: int) -> "list[tuple[int, int]]":
        """Return pid and start time of this process, its parent and so on."""
        found: list[tuple[int, int]] = []
        pid = self._getpid()
        with suppress(OSError, ValueError, IndexError):
            while pid > 0 and len(found) < most:
                parent, ticks = self._parent(pid)
                found.append((pid, ticks))
                pid = parent
        return found or [(pid, 0), (os.getppid(), 0)]

    def _parent(self, pid: int) -> "tuple[int, int]":
        """Return the parent of ``pid``, and when ``pid`` started; see proc_pid_stat(5)."""
        file = self._open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = self._read(file, 4096).rpartition(b")")[2].split()
        finally:
            os.close(file)
        return int(fields[1]), int(fields[19])

    def _write(self, line: bytes) -> None:
        if self.is_open:
            with suppress(OSError, ValueError):
                self._births.write(line)


def plant(how: HowToRecord) -> Tree:
    """Begin the tree of the run in ``how.run_dir``, whose program this process is.

    Raises OSError.
    """
    run_dir = os.path.abspath(how.run_dir)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    os.close(os.open(f"{run_dir}/births.jsonl", flags, 0o600))
    tree = Tree(run_dir, how)
    if tree.follows:
        os.close(os.open(_claims_file(run_dir), flags, 0o600))
        words = how.but(orders=-1, dumps_stacks=False).to_words()
        file = os.open(_how_file(run_dir), flags, 0o600)
        try:
            os.write(file, "\0".join(words).encode("utf-8", "surrogatepass"))
        finally:
            os.close(file)
        with suppress(OSError):  # on a file system without pipes
            os.mkfifo(tree.orders, 0o600)
        tree.invite()
    note_rank(run_dir)
    return tree


def rank() -> "str | None":
    """Return the part of this process in a parallel program, as ``rank 3``; None if it has none."""
    get = os.environ.get
    for number, size, word in RANKS:
        found, most = get(number, ""), get(size, "")
        if _is_number(found) and _is_number(most) and int(found) < int(most) > 1:
            return f"{word} {int(found)}"
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def note_rank(directory: str) -> None:
    """Note in the ``directory`` of this process which part of a parallel program it is, if any.

    The processes that it starts find the same variables: whoever reads knows what is beneath it.
    """
    name = rank()
    if name is None:
        return
    with suppress(OSError):
        from memdeep.rundir.workers import Worker, encode_worker

        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = os.open(f"{directory}/worker.json", flags, 0o600)
        try:
            os.write(file, encode_worker(Worker(os.getpid(), name, "", 1)))
        finally:
            os.close(file)


def read_how(run_dir: str) -> HowToRecord:
    """Read how the processes of the run in ``run_dir`` are recorded. Raises OSError, ValueError."""
    with open(_how_file(run_dir), "rb") as file:
        words = file.read().decode("utf-8", "surrogatepass").split("\0")
    return HowToRecord.from_words(words)[0]


def _how_file(run_dir: str) -> str:
    return f"{run_dir}/how"


def _claims_file(run_dir: str) -> str:
    return f"{run_dir}/claims"


def _orders_file(run_dir: str) -> str:
    return f"{run_dir}/orders"


def _command(is_redacted: bool) -> "list[str]":
    words = list(sys.orig_argv)
    if not is_redacted:
        return words
    place = program_place(words)
    letters, is_code, _ = words[place].partition("c")
    # The code may be written in one word with its option.
    last = f"{letters}c" if letters.startswith("-") and is_code else words[place]
    return [*words[:place], last]


def program_place(words: "list[str]") -> int:
    """Return where in a command line of Python the script is, or the `-m` or `-c`."""
    place = 1
    while place < len(words):
        word = words[place]
        if word == "--check-hash-based-pycs":
            place += 2
            continue
        if not word.startswith("-") or word == "-":
            return place
        for number, letter in enumerate(word[1:], 2):
            if letter in "mc":
                return place
            if letter in "WX":
                place += number == len(word)  # its value is the next word
                break
        place += 1
    return max(0, len(words) - 1)
