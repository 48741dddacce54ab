"""The marks of checkpoints in a capture: a thread's name, and the file that keeps where they lay.

A checkpoint renames its thread for a moment, and memray writes the name into its trace. The replay
looks for the same name (`kPrefix` in native/replay.hpp). Imports nothing: the writing half runs
inside the user's process.

The file `markers` has a line for each marker: its byte offset in the capture, a tab, the sequence
number of its event.
"""

PREFIX = "memdeep:"
DIGITS = 30


def name(sequence: int) -> str:
    """Return the thread name that marks the event with this sequence number."""
    return f"{PREFIX}{sequence:0{DIGITS}}"


def encode_places(places: "list[tuple[int, int]]") -> bytes:
    """Return the content of `markers` for pairs of offset and sequence number."""
    return "".join(f"{offset}\t{sequence}\n" for offset, sequence in places).encode("ascii")


def decode_places(content: bytes) -> "list[tuple[int, int]]":
    """Read `markers` back. Raises ValueError."""
    lines = [line.split("\t") for line in content.decode("ascii").splitlines()]
    places = [(int(offset), int(sequence)) for offset, sequence in lines]
    if places and min(places)[0] < 0:
        raise ValueError("a negative offset")
    return places
