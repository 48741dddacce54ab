"""A program that starts `mpirun`, which is no Python."""

import subprocess
import sys

words = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
subprocess.run([*words, sys.executable, "with_mpi.py"], check=True)
