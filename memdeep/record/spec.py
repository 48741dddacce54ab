"""What the parent tells the recorded process, as words of its command line.

The command line is used because the environment must stay the program's own.
"""


class RecordSpec:
    """How to record, and what to run: a script's path, a module's name or a piece of code.

    ``marks`` are checkpoints to plant without changing the code, as `record.marks` reads them.
    ``focus`` (glob patterns), ``start_at`` and ``stop_at`` (labels, or "") limit what is traced.
    With ``dumps_stacks`` the parent may ask for the stacks of all threads.
    With ``hides_arguments`` the capture does not name the program's arguments.
    ``orders`` is the inherited descriptor that `record.orders` reads, or -1.
    """

    __slots__ = (
        "arguments",
        "backend",
        "dumps_stacks",
        "focus",
        "hides_arguments",
        "interval_ms",
        "kind",
        "marks",
        "native",
        "orders",
        "python_allocators",
        "run_dir",
        "start_at",
        "stop_at",
        "target",
    )

    SCRIPT = "script"
    MODULE = "module"
    CODE = "code"

    MEMRAY = "memray"
    TRACEMALLOC = "tracemalloc"
    RSS = "rss"

    def __init__(
        self,
        *,
        run_dir: str,
        backend: str,
        native: bool,
        python_allocators: bool,
        interval_ms: int,
        orders: int,
        marks: "list[str]",
        focus: "list[str]",
        start_at: str,
        stop_at: str,
        dumps_stacks: bool,
        hides_arguments: bool,
        kind: str,
        target: str,
        arguments: "list[str]",
    ) -> None:
        self.run_dir = run_dir
        self.backend = backend
        self.native = native
        self.python_allocators = python_allocators
        self.interval_ms = interval_ms
        self.orders = orders
        self.marks = marks
        self.focus = focus
        self.start_at = start_at
        self.stop_at = stop_at
        self.dumps_stacks = dumps_stacks
        self.hides_arguments = hides_arguments
        self.kind = kind
        self.target = target
        self.arguments = arguments

    def to_arguments(self) -> "list[str]":
        """The words for the command line; `from_arguments` reads them back."""
        return [
            self.run_dir,
            self.backend,
            f"{self.native:d}{self.python_allocators:d}"
            f"{self.dumps_stacks:d}{self.hides_arguments:d}",
            str(self.interval_ms),
            str(self.orders),
            self.start_at,
            self.stop_at,
            str(len(self.marks)),
            *self.marks,
            str(len(self.focus)),
            *self.focus,
            self.kind,
            self.target,
            *self.arguments,
        ]

    @classmethod
    def from_arguments(cls, words: "list[str]") -> "RecordSpec":
        run_dir, backend, flags, interval_ms, orders, start_at, stop_at, *rest = words
        marks, rest = _counted(rest)
        focus, rest = _counted(rest)
        kind, target, *arguments = rest
        return cls(
            run_dir=run_dir,
            backend=backend,
            native=flags[0] == "1",
            python_allocators=flags[1] == "1",
            interval_ms=int(interval_ms),
            orders=int(orders),
            marks=marks,
            focus=focus,
            start_at=start_at,
            stop_at=stop_at,
            dumps_stacks=flags[2] == "1",
            hides_arguments=flags[3] == "1",
            kind=kind,
            target=target,
            arguments=arguments,
        )

    def traces_all(self) -> bool:
        """Whether tracing runs from the start of the program to its end."""
        return not (self.focus or self.start_at or self.stop_at)


def _counted(words: "list[str]") -> "tuple[list[str], list[str]]":
    """A list that its length precedes, and what follows it."""
    count = int(words[0])
    return words[1 : count + 1], words[count + 1 :]
