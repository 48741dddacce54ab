"""The errors a user can cause or cure, each with its sentence, a hint and an exit status.

`memdeep run` otherwise ends with the program's own status, so its failures use the numbers that
`env`, `timeout` and the shells reserve for "the program was never started".
"""

EXIT_OVER = 1  # a figure of memory is above its limit, or not known
EXIT_USAGE = 2
EXIT_BAD_DATA = 65
EXIT_NO_INPUT = 66
EXIT_NOT_STARTED = 125
EXIT_NOT_RUNNABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130  # as a shell has it: 128 and the number of SIGINT
EXIT_BROKEN_PIPE = 141  # and of SIGPIPE


class MemdeepError(Exception):
    """Something went wrong that one sentence explains; ``hint`` says what to do about it."""

    def __init__(self, message: str, hint: str, exit_status: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_status = exit_status


class ProgramError(MemdeepError):
    """The program to run is missing or cannot be run."""


class OutputError(MemdeepError):
    """The run directory or a report cannot be written."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, EXIT_NOT_STARTED)


class CaptureError(MemdeepError):
    """A capture or a run directory cannot be read."""

    def __init__(self, message: str, hint: str, exit_status: int = EXIT_BAD_DATA) -> None:
        super().__init__(message, hint, exit_status)


class EngineError(MemdeepError):
    """The engine that the environment asks for is not there."""


class RecordingError(MemdeepError, RuntimeError):
    """A recording cannot begin in this process."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, EXIT_NOT_STARTED)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class AttachError(MemdeepError):
    """A running process cannot be recorded."""

    def __init__(self, message: str, hint: str, exit_status: int = EXIT_NOT_RUNNABLE) -> None:
        super().__init__(message, hint, exit_status)


class NotKnownError(MemdeepError):
    """What is asked for was not recorded, or there is no such thing."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, EXIT_USAGE)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"  # who meets it in Python sees no more than this


class NoSuchPhaseError(NotKnownError, KeyError):
    """No phase, or more than one, has the name that was asked for."""


class MissingLibraryError(NotKnownError, ImportError):
    """A library that is optional is not installed."""
