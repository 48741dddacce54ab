"""Replaces its standard streams and descriptors."""

import io
import os
import sys

import memdeep

print("before")
sys.stdout.flush()
sys.stdout = io.StringIO()
sys.stderr = None
memdeep.checkpoint("replaced")
print("into the buffer")
text = sys.stdout.getvalue()
sys.stdout = sys.__stdout__
print("kept:", text)
sys.stdout.flush()
target = os.open("stdout.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(target, 1)
memdeep.checkpoint("redirected")
print("into the file")
