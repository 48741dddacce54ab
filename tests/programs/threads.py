"""Threads that exit, fail and outlive the main thread, and an `atexit` function after them."""

import atexit
import sys
import threading


def leave() -> None:
    sys.exit("a thread may say this to nobody")


def fail() -> None:
    raise LookupError("in a thread")


def outlive() -> None:
    threading.main_thread().join()
    print("thread: the main thread has ended")


atexit.register(print, "atexit: after the threads")
for target in (leave, fail):
    thread = threading.Thread(target=target, name=target.__name__)
    thread.start()
    thread.join()
threading.Thread(target=outlive, daemon=False).start()
print("main: done", threading.current_thread().name, threading.active_count())
