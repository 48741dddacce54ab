"""Writes to the descriptor whose number is its argument."""

import os
import sys

print(os.write(int(sys.argv[1]), b"through the inherited descriptor"))
