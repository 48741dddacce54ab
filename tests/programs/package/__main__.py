"""Shows how it was started."""

import sys

import __main__
from package import part

print(__name__, __package__, __file__, __spec__.name, type(__loader__).__name__)
print(ascii(sys.argv), sys.path[0], __main__.__dict__ is globals())
print(part.__name__)
