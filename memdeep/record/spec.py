"""What the parent tells the recorded process, as words of its command line.

The command line is used because the environment must stay the program's own.
"""


class RecordSpec:
    """How to record, and what to run: a script's path, a module's name or a piece of code."""

    __slots__ = (
        "arguments",
        "interval_ms",
        "kind",
        "native",
        "python_allocators",
        "run_dir",
        "target",
    )

    SCRIPT = "script"
    MODULE = "module"
    CODE = "code"

    def __init__(
        self,
        *,
        run_dir: str,
        native: bool,
        python_allocators: bool,
        interval_ms: int,
        kind: str,
        target: str,
        arguments: "list[str]",
    ) -> None:
        self.run_dir = run_dir
        self.native = native
        self.python_allocators = python_allocators
        self.interval_ms = interval_ms
        self.kind = kind
        self.target = target
        self.arguments = arguments

    def to_arguments(self) -> "list[str]":
        """The words for the command line; `from_arguments` reads them back."""
        flags = f"{self.native:d}{self.python_allocators:d}"
        return [self.run_dir, flags, str(self.interval_ms), self.kind, self.target, *self.arguments]

    @classmethod
    def from_arguments(cls, words: "list[str]") -> "RecordSpec":
        run_dir, flags, interval_ms, kind, target, *arguments = words
        return cls(
            run_dir=run_dir,
            native=flags[0] == "1",
            python_allocators=flags[1] == "1",
            interval_ms=int(interval_ms),
            kind=kind,
            target=target,
            arguments=arguments,
        )
