"""Reads, from the stack and the phase of a finding, which advice the evidence supports, if any."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Advice, Frame, Phase

MIN_REPEATS = 5
STEADY_SHARE = 0.8  # of the repeats must have grown the heap to call the growth steady

# What a frame of the standard library, by function and file, says about the work being done.
_EVIDENCE = (
    (Advice.DEEP_COPY, "deepcopy", "copy.py"),
    (Advice.WHOLE_PARSE, "load", "json/__init__.py"),
    (Advice.WHOLE_PARSE, "loads", "json/__init__.py"),
    (Advice.UNPICKLE, "_pickle_load", ""),
    (Advice.UNPICKLE, "_pickle_loads", ""),
    (Advice.IMPORT, "_find_and_load", "<frozen importlib._bootstrap>"),
)


def advise(stack: Sequence[Frame], culprit: Frame, phase: Phase) -> Advice | None:
    """The advice for bytes that ``stack`` (outermost first) allocated through ``culprit``."""
    called = stack[stack.index(culprit) + 1 :]
    for frame in called:
        for advice, function, file_end in _EVIDENCE:
            if frame.function == function and frame.filename.endswith(file_end):
                return advice
    deltas = phase.heap.deltas_bytes if phase.heap is not None else ()
    growing = sum(delta > 0 for delta in deltas)
    if phase.repeats >= MIN_REPEATS and growing >= STEADY_SHARE * phase.repeats:
        return Advice.REPEATED_GROWTH
    return None
