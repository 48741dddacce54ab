"""Finds out what program is run: its main file, its place and revision, the machine.

What takes time is asked of git beside the program, when that has started: the program waits for
nothing, and the run for no more than a moment at its end. No command that a repository names is
run: no hook, no filter, no monitor of files; nothing is fetched, and no lock is taken.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from memdeep.frozen import frozen
from memdeep.model import Identity
from memdeep.record.program import STDIN, WhatToRun
from memdeep.run.own_code import specs, working_directory

GIVE_UP_S = 5.0  # on a repository that is huge, or on a disk that does not answer
WAIT_S = 0.5  # at the end of a program that was faster than git
MAX_ANSWER_BYTES = 1 << 20

_POLL_MS = 20
_COMMIT = re.compile(rb"[0-9a-f]{40,64}\n")
_SETTINGS = ("config", "--list", "--null", "--name-only", "--show-scope")
_STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
# A variable of git's may name another repository, or a file to write to; these only limit it.
_KEPT = ("GIT_CEILING_DIRECTORIES", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_SAFE = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "",  # none
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_NOTHING_RUNS = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}


def identify(program: WhatToRun, interpreter: Sequence[str]) -> Identity:
    """Return what is known at once of ``program``, run with the options ``interpreter``."""
    cwd, main = working_directory(), _main_file(program)
    return Identity(
        cwd=cwd,
        # Where its imports begin: Python follows a link to the script.
        root=cwd if main is None else os.path.dirname(os.path.realpath(main)),
        main=None if main is None else os.path.basename(main),
        platform=sysconfig.get_platform(),
        libc=_libc(),
        hash_seed=_hash_seed(interpreter),
    )


def _main_file(program: WhatToRun) -> str | None:
    """Return the absolute path of the file that becomes `__main__`, None if there is none."""
    if program.kind == WhatToRun.MODULE:
        found = list(specs(program.target))
        if len(found) <= program.target.count("."):
            return None
        if found[-1].submodule_search_locations is not None:
            found = list(specs(f"{program.target}.__main__"))
        origin = found[-1].origin
        return os.path.abspath(origin) if found[-1].has_location and origin else None
    if program.kind == WhatToRun.CODE or program.target == STDIN:
        return None
    with suppress(OSError):  # the working directory is gone
        path = os.path.abspath(program.target)
        return os.path.join(path, "__main__.py") if os.path.isdir(path) else path
    return None


def _libc() -> str | None:
    """Return the name and version of the C library; musl does not tell its version."""
    with suppress(AttributeError, ValueError, OSError):
        return os.confstr("CS_GNU_LIBC_VERSION")
    return "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else None


def _hash_seed(interpreter: Sequence[str]) -> int | str:
    """Return the seed of the hashes of strings in the program; see PYTHONHASHSEED."""
    letters = "".join(
        re.split("[WX]", word[1:])[0] for word in interpreter if re.match("-[^-]", word)
    )
    seed = os.environ.get("PYTHONHASHSEED", "random")
    if {*letters} & {*"EI"} or not seed.isdecimal() or (seed == "0" and "R" in letters):
        return "random"
    return int(seed)


@frozen
class Revision:
    """The commit that is checked out, and if tracked files differ from it."""

    commit: str | None = None
    is_dirty: bool | None = None


class GitQuestion:
    """Asks git for the revision of a program, in a thread of its own; use as a context manager.

    An installed program has no revision of its own: for one the working directory is asked.
    """

    def __init__(self, identity: Identity) -> None:
        is_installed = identity.root is not None and _is_installed(identity.root)
        self._directory = identity.cwd if is_installed else identity.root
        self._until_s = time.monotonic() + GIVE_UP_S
        self._found = Revision()
        self._thread = threading.Thread(target=self._ask_all, name="memdeep-git", daemon=True)

    def __enter__(self) -> GitQuestion:
        # Without a thread the revision is unknown.
        with suppress(RuntimeError):
            self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._until_s = 0.0
        if self._thread.ident is not None:
            self._thread.join(WAIT_S)  # while it ends git

    def answer(self, wait_s: float = WAIT_S) -> Revision:
        """Return what git said, within ``wait_s``; what it has not said by then is unknown."""
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        return self._found

    def _ask_all(self) -> None:
        import shutil  # only here: the program does not wait for it

        git = shutil.which("git")
        # Without a repository git is not asked: on a bare macOS it would offer to install itself.
        if self._directory is None or git is None or not os.path.isabs(git):
            return
        if not _is_in_repository(self._directory):
            return
        start = (git, "-C", self._directory)
        variables = _environment(_NOTHING_RUNS)
        commit = self._ask((*start, "rev-parse", "--verify", "--quiet", "HEAD"), variables)
        if commit is None or _COMMIT.fullmatch(commit) is None:
            return
        self._found = Revision(commit.decode().strip())
        settings = self._ask((*start, *_SETTINGS), variables)
        if settings is None or len(settings) >= MAX_ANSWER_BYTES:
            return
        off = dict.fromkeys(_own_filters(settings), "")
        changes = self._ask((*start, *_STATUS), _environment(_NOTHING_RUNS | off))
        # What a filter of the repository's own would have said is unknown.
        if changes is not None and not (changes and off):
            self._found = Revision(self._found.commit, bool(changes))

    def _ask(self, command: Sequence[str], variables: Mapping[str, str]) -> bytes | None:
        """Return the beginning of what ``command`` prints; None if it fails or takes too long."""
        with suppress(OSError, subprocess.SubprocessError):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=variables,
                start_new_session=True,
            )
            try:
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
                return self._read(process)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(0.1)
        return None

    def _read(self, process: subprocess.Popen[bytes]) -> bytes | None:
        assert process.stdout is not None
        with process.stdout as output:
            poll = select.poll()
            poll.register(output, select.POLLIN)
            answer = b""
            while len(answer) < MAX_ANSWER_BYTES:
                while not poll.poll(_POLL_MS):
                    if time.monotonic() > self._until_s:
                        return None
                piece = os.read(output.fileno(), MAX_ANSWER_BYTES)
                if not piece:
                    left_s = max(0.0, self._until_s - time.monotonic())
                    return answer if process.wait(left_s) == 0 else None
                answer += piece
            return answer


def _own_filters(settings: bytes) -> Iterator[str]:
    """Yield the settings of a repository's own that name a filter; the user's own may run."""
    words = os.fsdecode(settings).split("\0")
    for scope, name in zip(words[::2], words[1::2], strict=False):
        is_own = scope in ("local", "worktree") and name.startswith("filter.")
        if is_own and name.endswith((".clean", ".smudge", ".process")):
            yield name


def _is_installed(directory: str) -> bool:
    paths = sysconfig.get_paths()
    homes = {paths[name] for name in ("purelib", "platlib", "stdlib", "platstdlib", "scripts")}
    return any(f"{directory}/".startswith(f"{home}/") for home in homes)


def _is_in_repository(directory: str) -> bool:
    while not os.path.lexists(os.path.join(directory, ".git")):
        above = os.path.dirname(directory)
        if above == directory:
            return False
        directory = above
    return True


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for git with ``settings``, which go before those of a repository."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT
    }
    given = {"GIT_CONFIG_COUNT": str(len(settings))}
    for place, (name, value) in enumerate(settings.items()):
        given |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": value}
    return {**kept, **_SAFE, **given}
