"""The first lines to run in a Python that a recorded program has started anew.

Called from the `.pth` file in `site-packages`, while the interpreter starts: there is no `sys.argv`
yet. The variable that has led here leaves `os.environ`, and goes on to the programs that this one
starts.
"""

import os
import sys
from contextlib import suppress

from memdeep.record.how import ALL
from memdeep.record.tree import VARIABLE, Tree, note_rank, program_place, read_how
from memdeep.rundir import births

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.how import HowToRecord

BOOTSTRAP = "memdeep/record/bootstrap.py"
HELPERS = "resource_tracker"  # of multiprocessing and of loky: allocates nothing
# Ray's helpers lie in its package, as its workers do, which are started with a type that says so.
# It waits for helpers, and not long: recorded, they are too late on a busy machine.
# Workers are recorded from their first task on, by what Ray calls when they are ready: before that
# they map the memory that they share.
RAY_HOOK, RAY_RUN = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR", "MEMDEEP_RAY_RUN"
RAY_BEGIN = "memdeep.integrations.ray_worker.begin"
RAY, RAY_WORKER = "/site-packages/ray/", "/default_worker.py"
# Modules that Pythons are started with (`-m`), and what makes phases of what these do.
ADAPTERS = dict.fromkeys(("pyspark.daemon", "pyspark.worker"), "memdeep.integrations.spark_worker")


def begin() -> None:
    """Record this process if it is to be; whatever fails in that, the program shall run."""
    run_dir = os.environ.pop(VARIABLE, "")
    # In a virtual environment `site` reads the file twice.
    if not run_dir or any(word.endswith(BOOTSTRAP) for word in sys.orig_argv[1:]):
        return
    os.putenv(VARIABLE, run_dir)
    with suppress(Exception):  # as after a `setuid`, or where the directory is gone
        _record(run_dir, frozenset(sys.modules))


def _record(run_dir: str, modules_before: "frozenset[str]") -> None:
    how = read_how(run_dir)
    if _is_worker_of_ray(sys.orig_argv) and _is_wanted(how):
        os.environ[RAY_RUN] = f"{run_dir}\n{os.environ.get(RAY_HOOK, '')}"
        os.environ[RAY_HOOK] = RAY_BEGIN
        return
    tree = Tree(run_dir, how)
    directory = tree.new_directory() if _is_wanted(how) else None
    tree.born(births.EXEC, directory)
    if directory is None:
        return
    note_rank(directory)
    import atexit

    from memdeep.record.program import forget_shadowed
    from memdeep.record.session import Session

    session = Session(how.but(run_dir=directory), tree)
    atexit.register(session.finish)
    session.start()
    _adapt()
    forget_shadowed(_first_path(), modules_before)


def _adapt() -> None:
    """Make phases of what a worker of a framework does; it is run by its module."""
    words = sys.orig_argv
    place = program_place(words)
    adapter = ADAPTERS.get("".join(words[place + 1 : place + 2]) if words[place] == "-m" else "")
    if adapter is not None:
        from importlib import import_module

        with suppress(Exception):
            import_module(adapter).begin()


def _is_wanted(how: "HowToRecord") -> bool:
    words = sys.orig_argv
    place = program_place(words)
    target = words[place + 1 : place + 2] if words[place].startswith("-") else words[place:]
    if words[place] != "-" and any(HELPERS in word for word in target[:1]):
        return False
    if target and RAY in target[0] and not _is_worker_of_ray(words):
        return False
    if how.children == ALL:
        return True
    from fnmatch import fnmatchcase

    names = [" ".join(words)]
    if target:
        file = os.path.basename(target[0])
        names += [target[0], file, os.path.splitext(file)[0]]
    return any(fnmatchcase(name, how.children) for name in names)


def _is_worker_of_ray(words: "list[str]") -> bool:
    is_helper = any(word.startswith("--worker-type=") and "_WORKER" in word for word in words)
    return not is_helper and any(word.endswith(RAY_WORKER) for word in words)


def _first_path() -> "str | None":
    """Return the directory that this Python will put in front of `sys.path`; None if none."""
    from memdeep.record.program import has_first_path, holds_main

    words = sys.orig_argv
    place = program_place(words)
    if words[place].startswith("-") or place == 0:
        return os.getcwd() if has_first_path() else None
    if holds_main(words[place]):
        return words[place]
    return os.path.dirname(os.path.realpath(words[place])) if has_first_path() else None
