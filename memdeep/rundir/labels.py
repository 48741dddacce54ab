"""Labels that are the two ends of a span: X_START and X_END, X_BEFORE and X_AFTER.

Owns that convention; record, analysis and live tracing follow it alike. Imports nothing.
"""

# The suffix that opens a span, and the one that closes it.
PAIRS = {"_START": "_END", "_BEFORE": "_AFTER"}
OPENED_BY = {closing: opening for opening, closing in PAIRS.items()}
SUFFIXES = (*PAIRS, *OPENED_BY)


def split(label: str) -> "tuple[str, str]":
    """Split ``label`` into the span's name and the suffix in capitals; ("", "") if it is no end."""
    for suffix in SUFFIXES:
        if len(label) > len(suffix) and label.upper().endswith(suffix):
            return label[: -len(suffix)], suffix
    return "", ""
