from types import FrameType, ModuleType

def snapshot(
    descriptor: int,
    sequence: int,
    began_ns: int,
    roots: list[ModuleType],
    own: int,
    frames: list[FrameType],
    seconds: int,
    shows_values: bool,
    off_at: bytes,
) -> int: ...
def reap() -> bool: ...
def dominators(starts: bytes, targets: bytes) -> bytes: ...
def earlier(descriptor: int, began_ns: int, lists_pools: bool, seconds: int) -> int: ...
