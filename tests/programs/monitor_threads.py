"""Threads that hammer checkpoints while the background looks every millisecond."""

import sys
import threading

from memory_monitor import init_global_monitor, memory_checkpoint

count = int(sys.argv[1])
monitor = init_global_monitor(
    name="threads",
    log_file="threads.log",
    warning_threshold_mb=1,
    check_interval=0.001,
    max_bytes=int(sys.argv[2]),
    backup_count=1000,
)
barrier = threading.Barrier(2)


def hammer(name: str) -> None:
    barrier.wait()
    for number in range(count):
        memory_checkpoint(f"{name} {number}")


threads = [threading.Thread(target=hammer, args=(name,)) for name in ("甲", "乙")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
monitor.stop_background_monitor()
print(monitor.generate_report())
