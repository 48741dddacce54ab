"""The labels that mean something: the run's two ends, and pairs of labels that make a span."""

# The labels of the first and the last checkpoint of every run, which no program writes.
RUN_START = "(start)"
RUN_END = "(end)"

# The suffix that opens a span, and the one that closes it: X_START and X_END.
PAIRS = {"_START": "_END", "_BEFORE": "_AFTER"}
OPENED_BY = {closing: opening for opening, closing in PAIRS.items()}
SUFFIXES = (*PAIRS, *OPENED_BY)


def split(label: str) -> "tuple[str, str]":
    """Part ``label`` into its span's name and its suffix, in capitals; ("", "") if it has none."""
    for suffix in SUFFIXES:
        if len(label) > len(suffix) and label.upper().endswith(suffix):
            return label[: -len(suffix)], suffix
    return "", ""
