"""A forked child that has no monitor, another that makes its own, and a spawned one."""

import multiprocessing
import os

import memory_monitor
from memory_monitor import get_global_monitor, init_global_monitor, memory_checkpoint


def use_own(label: str, log_file: str) -> None:
    assert get_global_monitor() is None
    init_global_monitor(name=label, log_file=log_file, check_interval=0.01)
    memory_checkpoint(label)
    print(label, "done", flush=True)


def in_fork(work: "object") -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def without_one() -> None:
    assert get_global_monitor() is None
    memory_checkpoint("lost in the child")
    with memory_monitor.memory_context("lost in the child"):
        pass
    monitor.checkpoint("lost in the child")
    monitor.start_background_monitor()
    monitor.stop_background_monitor()
    monitor.close()
    assert "before the fork" in monitor.generate_report()


if __name__ == "__main__":
    monitor = init_global_monitor(name="parent", log_file="parent.log", check_interval=0.01)
    memory_checkpoint("before the fork")
    in_fork(without_one)
    in_fork(lambda: use_own("forked", "forked.log"))
    process = multiprocessing.get_context("spawn").Process(
        target=use_own, args=("spawned", "spawned.log")
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    memory_checkpoint("after the fork")
    assert get_global_monitor() is monitor
