"""Reaches a checkpoint, says so, and waits to be killed."""

import sys

from memory_monitor import init_global_monitor, memory_checkpoint

init_global_monitor(name="waits", log_file="logs/waits.log", check_interval=0.05)
memory_checkpoint("first")
memory_checkpoint("加载config_BEFORE", "the last one reached")
print("ready", flush=True)
sys.stdin.readline()
memory_checkpoint("never reached")
