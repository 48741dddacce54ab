"""Does what its argument names, which might get in the way of recording; sets checkpoints."""

import errno
import gc
import locale
import os
import pickle
import resource
import shutil
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from unittest import mock

from memdeep import checkpoint, phase

FAKES = {time: ("time", "time_ns", "monotonic", "monotonic_ns"), os: ("write", "open", "fstat")}
kept = []


def work(name):
    """Something to record: 300 kB more, between two checkpoints and in a phase."""
    checkpoint(f"{name} begins")
    with phase(name):
        kept.append([bytearray(30_000) for _ in range(10)])
    checkpoint(f"{name} ends")


def mocks_functions():
    def never(*args, **kwargs):
        raise AssertionError("this is the program's own mock")

    originals = {
        id(getattr(owner, name)): (owner, name) for owner in FAKES for name in FAKES[owner]
    }
    replaced = []
    # As freezegun does: wherever the function is, by whatever name.
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in originals:
                replaced.append((module, name, value))
                setattr(module, name, never)
    with mock.patch("builtins.open", never), mock.patch("io.open", never):
        work("mocked")
    for module, name, value in replaced:
        setattr(module, name, value)
    print(len(replaced) > len(originals))


def sets_hooks():
    calls = []

    def hook(frame, event, argument):
        calls.append(event)
        return

    threading.settrace(hook)
    threading.excepthook = lambda arguments: print("own", arguments.exc_type.__name__)
    sys.settrace(hook)
    thread = threading.Thread(target=lambda: work("in a thread") or 1 / 0)
    thread.start()
    thread.join()
    sys.settrace(None)
    threading.settrace(None)
    print(len(calls) > 10, sys.gettrace())


def profiles():
    calls = []

    def hook(frame, event, argument):
        calls.append(event)

    sys.setprofile(hook)
    work("profiled")
    print(sys.getprofile() is hook)
    sys.setprofile(None)
    print(len(calls) > 10, sys.getprofile())


def profiles_threads():
    calls = []

    def hook(frame, event, argument):
        calls.append(event)

    threading.setprofile(hook)
    thread = threading.Thread(target=work, args=("in a thread",))
    thread.start()
    thread.join()
    threading.setprofile(None)
    work("afterwards")
    print(len(calls) > 10)


def freezes():
    gc.disable()
    gc.freeze()
    work("frozen")
    print(gc.get_freeze_count() > 100, gc.isenabled())
    gc.unfreeze()
    gc.set_threshold(1)
    work("collecting often")


def changes_locale():
    locale.setlocale(locale.LC_ALL, "C")
    os.environ.clear()
    work("prüfen 检查")
    print(locale.setlocale(locale.LC_ALL))


def changes_directory():
    os.chdir("/")
    work("elsewhere")
    with tempfile.TemporaryDirectory() as gone:
        os.chdir(gone)
    print(os.path.exists(gone))
    work("nowhere")


def replaces_streams():
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    work("silent")
    os.write(1, b"out\n")


def uses_up_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        print(error.strerror, held[0], len(held))
    work("without descriptors")
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    work("with descriptors")


def closes_all():
    os.closerange(3, 65536)
    work("closed")
    first = os.open(os.devnull, os.O_RDONLY)
    for number in range(4_500_000):  # memray opens a new window of its file after 16 MB
        bytearray(600 + number % 8)
    for descriptor in range(3, 4096):
        try:
            os.close(descriptor)
        except OSError as error:
            assert error.errno == errno.EBADF
    work("again")
    child = os.fork()
    if child == 0:
        os.closerange(3, 65536)
        low = [name for name in os.listdir("/proc/self/fd") if int(name) < 256]
        os._exit(len(low) - 4)
    print(first, os.waitpid(child, 0)[1], os.close is pickle.loads(pickle.dumps(os.close)))
    os.close(-1)


def drops_privileges():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    work("as nobody")
    work("still nobody")
    print(os.getuid(), os.access("/root", os.R_OK))


def forks_in_a_thread():
    # From 3.12 on Python warns of it, with the number of the process, which is never the same.
    warnings.simplefilter("ignore", DeprecationWarning)

    def fork():
        with phase("around the fork"):
            pid = os.fork()
            if pid == 0:
                work("in the child")
                print("child", threading.active_count(), flush=True)
                os._exit(3)
            print("parent", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    work("after the fork")


def removes_run_directory():
    work("before")
    for found in Path.cwd().parent.glob("run*"):
        shutil.rmtree(found)
    time.sleep(1)
    work("after")


def uses_memray():
    import memray

    with memray.Tracker("own.bin"):
        work("traced twice")
    with memray.FileReader("own.bin") as reader:
        print(reader.metadata.total_allocations > 5)
    os.unlink("own.bin")


def looks_around():
    import _thread

    work("before")
    started = _thread.allocate_lock()
    started.acquire()
    _thread.start_new_thread(lambda: (work("unknown thread"), started.release()), ())
    started.acquire()
    print([thread.name for thread in threading.enumerate()], len(sys._current_frames()))
    print(threading.Thread().name, threading.active_count())


globals()[sys.argv[1]]()
print("done", len(kept))
