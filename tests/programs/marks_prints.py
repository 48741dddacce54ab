"""Prints in the way that its argument names; "one" and "two" are its phases."""

import io
import os
import sys
import threading


def plain() -> None:
    print("[one]")
    print("between")
    print("[two]")


def ends() -> None:
    print("[one", end="")
    print("", end="]")
    print()
    print("", "[two]", "x", sep="", end="\nnot a line of its own")


def pieces() -> None:
    for character in "[one]\n[two]\nrest":
        sys.stdout.write(character)
    assert sys.stdout.write("seven\n!") == 7
    sys.stdout.writelines(["a", "b\n", "c"])


def colours() -> None:
    print("\x1b[1;31m[o\x1b[0mne]\x1b[K")
    print("\x1b]8;;http://x\x1b\\[two]\x1b]8;;\x1b\\")


def carriage_returns() -> None:
    print("10 %\r[one]", end="\r\n")
    print("[never]\r[two]")


def buffer() -> None:
    sys.stdout.buffer.write(b"[o")
    sys.stdout.buffer.write(bytearray("ne] é\n".encode()))
    print("text kept back")
    assert sys.stdout.buffer.write(memoryview(b"[two]\n")) == 6
    sys.stdout.buffer.writelines([b"x\n", b"y"])


def order() -> None:
    """The text waits in Python's buffer while descriptor 1 is written to."""
    print("[one]")
    os.write(1, b"past all buffers\n")
    sys.stdout.flush()
    os.write(1, b"and again\n")
    print("[two]", flush=True)
    os.write(1, b"at last\n")


def reconfigured() -> None:
    stream = sys.stdout
    print("é[one]")
    sys.stdout.reconfigure(encoding="latin-1", errors="replace", newline="\r\n")
    print("é[two]☃")
    assert sys.stdout is stream is sys.__stdout__


def replaced() -> None:
    print("[one]")
    original, sys.stdout = sys.stdout, io.StringIO()
    print("[not the program's output]")
    sys.stdout = original
    print("[two]")


def detached() -> None:
    print("[one]")
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-16", line_buffering=True)
    print("[UTF-16 is not looked at]")
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8", line_buffering=True)
    print("[two]")


def wrapped() -> None:
    print("[one]", flush=True)
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", write_through=True)
    print("[two] é")


def patched() -> None:
    """As programs do that copy their output to a log."""
    write = sys.stdout.write
    log = []

    def tee(text: str) -> int:
        log.append(text)
        return write(text)

    sys.stdout.write = tee
    print("[one]")
    print("[two]")
    del sys.stdout.write
    assert log == ["[one]", "\n", "[two]", "\n"]


def errors() -> None:
    for call in (
        lambda: sys.stdout.write(5),
        lambda: sys.stdout.write(),
        lambda: sys.stdout.write("a", "b"),
        lambda: sys.stdout.write(text="a"),
        lambda: sys.stdout.write("\ud800[none]\n"),
        lambda: sys.stdout.buffer.write("text"),
        lambda: sys.stdout.flush(1),
    ):
        try:
            call()
        except (TypeError, UnicodeEncodeError) as error:
            print(type(error).__name__, error)
    print("[one]\n[two]")


def closed() -> None:
    print("[one]\n[two]")
    sys.stdout.close()
    print("into nothing")


def looks() -> None:
    """All that can be asked of the stream."""
    stream = sys.stdout
    print(repr(stream), type(stream), stream is sys.__stdout__, stream.encoding, stream.errors)
    print(stream.isatty(), stream.fileno(), stream.name, stream.mode, stream.newlines)
    print(stream.line_buffering, stream.write_through, stream.closed, stream.writable())
    print(type(stream.buffer), type(stream.buffer.raw), stream.buffer.name, stream.buffer.mode)
    print(isinstance(stream, io.TextIOWrapper), sys.getsizeof(stream), dir(stream) == dir(stream))
    print("[one]\n[two]")


def threads() -> None:
    """Four at once: the pieces of their lines mix, but each has printed whole lines."""
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        for _ in range(50):
            print("[", name, "]", sep="", flush=True)

    workers = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c", "d")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def long_lines() -> None:
    sys.stdout.write("x" * 3_000_000 + "[too far]\n[one]\n")
    sys.stdout.buffer.write(b"x" * 200_000 + b"\n[two]\n" + b"y" * 200_000)


def forks() -> None:
    print("[one]", flush=True)
    pid = os.fork()
    if pid == 0:
        print("[child]")
        sys.exit()
    os.waitpid(pid, 0)
    print("[two]")


def hard_exit() -> None:
    print("[one]\n[two]", flush=True)
    print("lost")
    os._exit(0)


globals()[sys.argv[1]]()
