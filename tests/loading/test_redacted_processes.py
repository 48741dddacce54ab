"""With --redact-args no argument of any process is in a file of the run."""

from __future__ import annotations

import os
from pathlib import Path

from running import RunMemdeep, read_json

SECRET = "secret-4711"
PROGRAM = """
import os, subprocess, sys
secret = sys.argv[1]
subprocess.run([sys.executable, "-c", "kept = bytearray(3_000_000)", secret], check=True)
subprocess.run(["sleep", "0.3", "0", *["0"] * 3])
os.system(f"sleep 0.3; echo {secret} > /dev/null")
if os.fork() == 0:
    kept = bytearray(2_000_000)
    os._exit(0)
os.wait()
"""


def test_no_argument_of_a_process_is_in_any_file(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    options = ("--quiet", "--no-native", "--redact-args", "-o", "run")
    assert run_memdeep("run", *options, "program.py", SECRET).returncode == 0
    children = sorted((tmp_path / "run/children").glob("*/"))
    assert len(children) == 2
    for child in children:
        assert run_memdeep("report", "--quiet", child).returncode == 0
        assert len(read_json(child / "report.json")["processes"]) >= 1
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert os.fsencode(SECRET) not in path.read_bytes(), path
