"""A parent with a monitor, whose children, started in every way, have their own."""

import multiprocessing
import os
import subprocess
import sys

from memory_monitor import init_global_monitor, memory_checkpoint

MB = 1 << 20
KILLED = """
import os
from memory_monitor import init_global_monitor, memory_checkpoint
kept = bytearray(b"x") * (18 << 20)
init_global_monitor("killed", "killed.log")
memory_checkpoint("子\\t进程")
if os.fork() == 0:
    kept = None
    init_global_monitor("grandchild", "grandchild.log")
    memory_checkpoint("there")
    os._exit(0)
os.wait()
os.kill(os.getpid(), 9)
"""


def work(how: str, grown_mb: int) -> None:
    init_global_monitor(name=how, log_file=f"{how}.log", lang="en")
    memory_checkpoint("before")
    kept = bytearray(b"x") * (grown_mb * MB)
    memory_checkpoint("after")
    del kept
    memory_checkpoint("freed")
    os._exit(0)  # without any ending of Python's


def in_fork(name: str) -> None:
    if os.fork() == 0:
        init_global_monitor(name=name, log_file=f"{name}.log", lang="en", check_interval=None)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    former = init_global_monitor(name="former", log_file="parent.log", lang="en")
    for how, grown_mb in (("fork", 20), ("spawn", 60), ("forkserver", 40)):
        context = multiprocessing.get_context(how)
        process = context.Process(target=work, args=(how, grown_mb))
        process.start()
        process.join()
    monitor = init_global_monitor(name="parent", log_file="parent.log", lang="en")
    assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode == -9
    in_fork("silent")
    print(monitor.generate_report())
