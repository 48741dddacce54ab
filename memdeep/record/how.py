"""Tells the recorded process how to record, by words on its command line.

The command line is used because the environment must stay the program's own. The processes that the
program starts read the same words from a file of the run. Imports nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MEMRAY = "memray"
TRACEMALLOC = "tracemalloc"
RSS = "rss"

NONE = "none"  # of --children

# Unless something else is asked for.
SAMPLE_INTERVAL_S = 0.05
ALL = "all"  # of --children
MOST_CHILDREN = 64

MOMENT_MS = 20  # of a capture that is held against those of other processes

END = "--"  # ends the words on how to record; those on what to run follow


class HowToRecord:
    """The options that act within the program, and where the recording goes.

    All fields but the last four are options, which the table in `memdeep.cli.options` explains.
    ``mark_every`` is 0 where no mark is wanted, ``start_at`` and ``stop_at`` are "".
    ``grid_s`` are the seconds between checkpoints that nobody has asked for, or 0. ``run_dir`` is
    the run directory. With ``dumps_stacks`` the parent may ask for the stacks of all threads.
    ``orders`` is the inherited descriptor that `record.orders` reads, or -1.
    """

    backend: str
    native: bool
    trace_python_allocators: bool
    sample_interval: float  # seconds
    redact_args: bool
    values: bool
    mark_stdout: tuple[str, ...]
    mark_call: tuple[str, ...]
    mark_line: tuple[str, ...]
    mark_every: float  # seconds
    focus: tuple[str, ...]
    start_at: str
    stop_at: str
    children: str
    most_children: int
    holders: bool
    holders_at: tuple[str, ...]
    holders_most: int
    grid_s: float = 0.0
    run_dir: str = ""
    dumps_stacks: bool = False
    orders: int = -1

    def __init__(self, **values: "Any") -> None:
        """Take a value for each field; raises TypeError for a name that is none."""
        for name, value in values.items():
            if name not in HowToRecord.__annotations__:
                raise TypeError(f"{name} is nothing that says how to record")
            setattr(self, name, value)

    def but(self, **values: "Any") -> "HowToRecord":
        """Return a copy with these values changed."""
        return HowToRecord(**{**vars(self), **values})

    @property
    def interval_ms(self) -> int:
        """Milliseconds between two readings of the RSS."""
        return round(self.sample_interval * 1000)

    @property
    def trace_interval_ms(self) -> int:
        """Milliseconds between two records of the time in a capture.

        What a process held at a checkpoint of another is known at one of them.
        """
        return self.interval_ms if self.children == NONE else min(MOMENT_MS, self.interval_ms)

    @property
    def marks(self) -> "list[str]":
        """The checkpoints to plant without changing the code, for `record.marks.words`."""
        words = [f"stdout:{word}" for word in self.mark_stdout]
        words += [f"call:{word}" for word in self.mark_call]
        words += [f"line:{word}" for word in self.mark_line]
        words += [f"every:{self.mark_every}"] if self.mark_every else []
        return words + ([f"grid:{self.grid_s}"] if self.grid_s else [])

    @property
    def wants_holders(self) -> bool:
        """Tell if it is to be recorded who holds the objects."""
        return self.holders_most > 0 and (self.holders or bool(self.holders_at))

    @property
    def traced_only(self) -> "tuple[str, ...]":
        """The options that limit tracing, as on the command line; empty if all is traced."""
        limits = [f"--focus {pattern}" for pattern in self.focus]
        limits += [f"--start-at {self.start_at}"] if self.start_at else []
        limits += [f"--stop-at {self.stop_at}"] if self.stop_at else []
        return tuple(limits)

    def to_words(self) -> "list[str]":
        """Return the words for the command line, ``NAME=VALUE``; `from_words` reads them back."""
        words = []
        for name, kind in HowToRecord.__annotations__.items():
            value = getattr(self, name)
            if kind is bool:
                words.append(f"{name}={value:d}")
            elif kind in (int, float, str):
                words.append(f"{name}={value}")
            else:
                words += [f"{name}={item}" for item in value]
        return [*words, END]

    @classmethod
    def from_words(cls, words: "list[str]") -> "tuple[HowToRecord, list[str]]":
        """Return how to record, and the words behind `END`."""
        kinds = cls.__annotations__
        values: dict[str, Any] = {
            name: () for name, kind in kinds.items() if kind not in (bool, int, float, str)
        }
        end = words.index(END)
        for word in words[:end]:
            name, _, text = word.partition("=")
            kind = kinds[name]
            if name in values:
                values[name] += (text,)
            else:
                values[name] = text == "1" if kind is bool else kind(text)
        return cls(**values), words[end + 1 :]
