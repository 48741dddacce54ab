"""A task that keeps 25,000,000 bytes in its worker, with a broker of files in this directory."""

import os
import time
from pathlib import Path

from celery import Celery

WORKERS = 2
for name in ("queue", "seen"):
    Path(name).mkdir(exist_ok=True)
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "queue",
    "control_folder": "queue",
}
app.conf.worker_prefetch_multiplier = 1
kept = []


@app.task(name="keep")
def keep():
    kept.append(b"x" * (25_000_000 + len(kept)))  # KEPT
    Path("seen", str(os.getpid())).touch()
    while len([*Path("seen").iterdir()]) < WORKERS:
        time.sleep(0.02)


if __name__ == "__main__":
    for _ in range(WORKERS):
        keep.delay()
