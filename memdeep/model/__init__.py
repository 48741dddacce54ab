"""The nouns of memdeep, which the stages hand to one another. Re-exports them.

`statement`, `sums` and `redaction` are imported by their own names. A module of nouns is imported
when one of them is asked for: what runs a program needs few, and the program waits for them.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.model.across import Across, LineAcross, ShareAcross
    from memdeep.model.heap import (
        EARLIER_FRAME,
        Alive,
        Asked,
        Earlier,
        FoldedStack,
        Frame,
        Heap,
        LargeAllocation,
        Lifetime,
        Lifetimes,
        MappedBytes,
        Moved,
        Origin,
        Peak,
        ProcessHeap,
        RawFrame,
        Residency,
        Sample,
        StackBytes,
        StackTree,
        Stretch,
    )
    from memdeep.model.phase import (
        Culprit,
        GroupShare,
        Parts,
        Pattern,
        Phase,
        PhaseHeap,
        PhaseKind,
        PhaseOutline,
        Trend,
    )
    from memdeep.model.report import (
        Advice,
        Death,
        Fate,
        Finding,
        FindingKind,
        LastGrowth,
        LeftOut,
        Report,
        SplitOff,
    )
    from memdeep.model.run import (
        DETACHED,
        MAIN_THREAD,
        RUNNING,
        CaptureFile,
        Checkpoint,
        CheckpointKind,
        Exit,
        Identity,
        MemoryLimit,
        Merged,
        Mode,
        Process,
        Run,
        StackDump,
        ThreadStack,
        Worker,
    )

__all__ = [
    "DETACHED",
    "EARLIER_FRAME",
    "Earlier",
    "MAIN_THREAD",
    "RUNNING",
    "Across",
    "Advice",
    "Alive",
    "Asked",
    "CaptureFile",
    "Checkpoint",
    "CheckpointKind",
    "Culprit",
    "Death",
    "Exit",
    "Fate",
    "Finding",
    "FindingKind",
    "FoldedStack",
    "Frame",
    "GroupShare",
    "Heap",
    "Identity",
    "Merged",
    "LargeAllocation",
    "LastGrowth",
    "LeftOut",
    "Lifetime",
    "Lifetimes",
    "LineAcross",
    "MappedBytes",
    "MemoryLimit",
    "Mode",
    "Moved",
    "Origin",
    "Parts",
    "Pattern",
    "Peak",
    "Phase",
    "PhaseHeap",
    "PhaseKind",
    "PhaseOutline",
    "Process",
    "ProcessHeap",
    "RawFrame",
    "Report",
    "Residency",
    "Run",
    "Sample",
    "ShareAcross",
    "SplitOff",
    "StackBytes",
    "StackDump",
    "StackTree",
    "Stretch",
    "ThreadStack",
    "Trend",
    "Worker",
]

_MODULES = ("run", "heap", "phase", "report", "across")  # each needs none but those before it


def __getattr__(name: str) -> object:
    """Find a noun in its module, and keep it here."""
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
