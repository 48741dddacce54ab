"""Imports its neighbour, and a module that a foreign working directory must not replace."""

import json

import neighbour

print(neighbour.__file__, json.__name__, hasattr(json, "dumps"))
