"""The version of memdeep: one place, which imports nothing."""

__version__ = "0.1.0"
