"""Shows its arguments."""

import sys

print(ascii(sys.argv))
