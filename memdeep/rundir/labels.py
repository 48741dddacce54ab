"""Labels that mean something: the two ends of the run, and of a span (X_START, X_END); cells.

Owns that convention; record, analysis and live follow it alike. Imports nothing.
"""

# The labels of the first and the last checkpoint of every run, which no program writes.
RUN_START = "(start)"
RUN_END = "(end)"

# The suffix that opens a span, and the one that closes it: X_START and X_END.
PAIRS = {"_START": "_END", "_BEFORE": "_AFTER"}
OPENED_BY = {closing: opening for opening, closing in PAIRS.items()}
SUFFIXES = (*PAIRS, *OPENED_BY)


def split(label: str) -> "tuple[str, str]":
    """Split ``label`` into the span's name and the suffix in capitals; ("", "") if it is no end."""
    if "_" not in label:  # as in most
        return "", ""
    stem, _, word = label.rpartition("_")
    suffix = f"_{word.upper()}"
    return (stem, suffix) if stem and suffix in SUFFIXES else ("", "")


def cell(number: int) -> str:
    """Return the name of a cell of a notebook, as its front ends show it."""
    return f"In [{number}]"


def is_cell(name: str) -> bool:
    """Tell if ``name`` is that of a cell."""
    return name.startswith("In [") and name.endswith("]") and name[4:-1].isdigit()
