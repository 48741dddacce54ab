"""Copies its input to its output, byte by byte, and says on stderr how much that was."""

import sys

content = sys.stdin.buffer.read()
sys.stdout.buffer.write(content)
print(len(content), sys.stdin.isatty(), file=sys.stderr)
