"""memdeep: which line, in which phase, made this Python program's memory explode?"""

from memdeep.record.api import checkpoint, phase

__all__ = ["__version__", "checkpoint", "phase"]
__version__ = "0.1.0"
