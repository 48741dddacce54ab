"""Prints some lines and stays in one phase until the file `go` exists; `ready` says so."""

import os
import time
from pathlib import Path

import memdeep

print("first line")
memdeep.checkpoint("waiting for go")
Path("ready").write_text(str(os.getpid()))
while not Path("go").exists():
    time.sleep(0.01)
with memdeep.phase("at last"):
    kept = bytearray(4_000_000)
print("last line", flush=True)
Path("done").touch()
