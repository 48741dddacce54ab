"""Tells somebody of what happens to a run: by a command that is run, or by a request to a server.

The program is not waited for, and never harmed: a thread beside it sends one message after the
other, each for some seconds at most. What fails is told once.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from memdeep.errors import EXIT_USAGE, ProgramError
from memdeep.live.alarms import GROWTH, Alarm, Alarms
from memdeep.run.progress import Progress
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import Language, Value
from memdeep.text.safe import plain

SENT_S = 10.0  # in which a command ends and a server answers
LEFT_S = 5.0  # after the end of the program
MOST_WAITING = 100
SCHEMES = ("http://", "https://")
_STOP = None

Message = dict[str, object]


def check(target: str) -> None:
    """Raise ProgramError unless ``target`` is a command that is there, or an address."""
    if target.startswith(SCHEMES):
        return
    try:
        words = shlex.split(target)
    except ValueError:
        words = []
    if not words or shutil.which(words[0]) is None:
        raise ProgramError(
            f"There is no command {words[0] if words else target!r} to notify.",
            "Give --notify a program with its arguments, or an address that begins with https://.",
            EXIT_USAGE,
        )


class Notifier:
    """Tells all ``targets`` of the alarms of one run; call `update` often.

    ``about`` are its directory, the name of the program, and the language of messages. Sentences
    for the user go to ``on_note``. Use as a context manager: leaving it waits some seconds for what
    is being sent.
    """

    def __init__(
        self,
        targets: Sequence[str],
        alarms: Alarms,
        about: tuple[RunDirectory, str, Language],
        on_note: Callable[[str], None],
    ) -> None:
        self._run_dir, self._name, self._language = about
        self._targets = tuple(targets)
        self._alarms = alarms
        self._on_note = on_note
        self._waiting: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._failed: set[str] = set()
        self._running: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._is_over = False

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def update(self, progress: Progress) -> None:
        """Take in a reading of the program."""
        for alarm in self._alarms.update(progress):
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_all, name="memdeep-notify", daemon=True
                )
                self._thread.start()
            with suppress(queue.Full):  # nobody can be told as fast as that
                self._waiting.put_nowait(self._message(alarm))
        self._tell_failures()

    def close(self) -> None:
        """Wait for what is being sent, for some seconds; end what takes longer."""
        self._alarms.close()
        if self._thread is not None:
            with suppress(queue.Full):
                self._waiting.put_nowait(_STOP)
            self._thread.join(LEFT_S)
            self._is_over = True
            if self._thread.is_alive():
                self._end_running()
                self._failures.put(f"not all notices were sent within {LEFT_S:g} s of its end")
        self._tell_failures()

    def _tell_failures(self) -> None:
        while not self._failures.empty():
            self._on_note(self._failures.get_nowait())

    def _message(self, alarm: Alarm) -> Message:
        """Return the facts to send."""
        start = self._alarms.start
        return {
            "event": alarm.kind,
            "message": sentence(alarm, self._name, self._language),
            "program": self._name,
            "run": str(self._run_dir.path.absolute()),
            "pid": None if start is None else start.pid,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "elapsed_s": round(alarm.elapsed_s, 3),
            "measure": "pss" if alarm.is_pss else "rss",
            "bytes": alarm.size_bytes,
            "limit_bytes": alarm.limit_bytes,
            "phases": list(alarm.phases),
            "grown": alarm.grown or None,
            "repeats": alarm.repeats,
            "growth_bytes": alarm.growth_bytes,
            "slope_bytes": alarm.slope_bytes,
        }

    def _send_all(self) -> None:
        """Send what is waiting, one after the other, until told to stop."""
        while not self._is_over and (message := self._waiting.get()) is not _STOP:
            for target in self._targets:
                try:
                    if target.startswith(SCHEMES):
                        _post(target, message)
                    else:
                        self._run(target, message)
                except _NotSentError as error:
                    self._fail(target, str(error))
                except Exception as error:  # whatever it is, the run goes on
                    self._fail(target, f"{type(error).__name__}: {error}")

    def _run(self, target: str, message: Message) -> None:
        """Run a command: the facts are in its environment, and as JSON on its standard input."""
        facts = {
            f"MEMDEEP_{name.upper()}": " › ".join(value) if isinstance(value, list) else str(value)
            for name, value in message.items()
            if value is not None
        }
        self._running = process = subprocess.Popen(
            shlex.split(target),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **{name: plain(value) for name, value in facts.items()}},
            start_new_session=True,  # to end all of it; and Ctrl-C is not meant for it
        )
        try:
            with suppress(BrokenPipeError):  # it does not read it
                process.communicate(_json(message), timeout=SENT_S)
            status = process.wait(SENT_S)
        except subprocess.TimeoutExpired:
            self._end_running()
            raise _NotSentError(f"it took longer than {SENT_S:g} s") from None
        finally:
            self._running = None
        if status:
            ended = f"it ended with status {status}" if status > 0 else f"signal {-status} ended it"
            raise _NotSentError(ended)

    def _end_running(self) -> None:
        process = self._running
        if process is not None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)

    def _fail(self, target: str, why: str) -> None:
        """Tell, once of each target, that it was not told."""
        if target not in self._failed and not self._is_over:
            self._failed.add(target)
            self._failures.put(f"--notify {shown(target)} failed: {why}.")


class _NotSentError(Exception):
    """A message was not sent; the text says why."""


def _post(address: str, message: Message) -> None:
    """Send the facts as JSON to a server."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    headers = {"Content-Type": "application/json", "User-Agent": "memdeep"}
    try:
        request = Request(address, _json(message), headers)
        with urlopen(request, timeout=SENT_S) as answer:
            answer.read(1)
    except HTTPError as error:
        error.close()
        raise _NotSentError(f"the server answered {error.code}") from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _NotSentError(str(getattr(reason, "strerror", None) or reason).lower()) from error


def shown(target: str) -> str:
    """Return a target to be told of: of an address only the server, of a command its first word.

    The rest may hold what is secret.
    """
    if target.startswith(SCHEMES):
        from urllib.parse import urlsplit

        return urlsplit(target).hostname or "address"
    return shlex.split(target)[0]


def sentence(alarm: Alarm, name: str, language: Language) -> str:
    """Return an alarm as a sentence."""
    values: dict[str, Value] = {
        "name": name,
        "elapsed_s": alarm.elapsed_s,
        "size_bytes": alarm.size_bytes,
    }
    if alarm.kind == GROWTH and alarm.grown:
        return language.say(
            "notify.phase",
            phase=alarm.grown,
            n=alarm.repeats,
            slope_bytes=alarm.slope_bytes,
            **values,
        )
    if alarm.kind == GROWTH:
        return language.say("notify.run", growth_bytes=alarm.growth_bytes, **values)
    where = " › ".join(alarm.phases)
    within = language.say("notify.in", phase=where) if where else ""
    said = language.say(f"notify.{alarm.kind}", limit_bytes=alarm.limit_bytes, **values)
    return plain(said + within)


def _json(message: Message) -> bytes:
    return json.dumps(message).encode("ascii")
