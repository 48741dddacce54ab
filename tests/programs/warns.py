"""Warns, about itself and about its caller in the same file."""

import warnings


def warn() -> None:
    warnings.warn("about the caller", UserWarning, stacklevel=2)


warnings.warn("about itself", DeprecationWarning, stacklevel=1)
warn()
