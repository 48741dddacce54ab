"""Feeds the decoders of the run directory's formats with damaged content: `python -m fuzz.decoders
SECONDS SEED FILES...`. Guided by coverage where atheris is installed, otherwise by chance."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.mutations import mutated, mutated_lines
from fuzz.shown import is_harmless

try:
    import atheris
except ImportError:
    atheris = None

if atheris is None:
    from memdeep.errors import CaptureError
    from memdeep.rundir import cells, journal, pages, samples
    from memdeep.rundir import meta as observation
    from memdeep.text.safe import plain
else:
    with atheris.instrument_imports(include=["memdeep", "json"]):
        from memdeep.errors import CaptureError
        from memdeep.rundir import cells, journal, pages, samples
        from memdeep.rundir import meta as observation
        from memdeep.text.safe import plain


def decode(content: bytes) -> None:
    """All decoders must give something or refuse with a sentence."""
    events, damaged = journal.decode(content)
    assert damaged >= 0
    for event in events:
        assert 0 <= event.time_us < journal.MAX_TIME_S * 1_000_000
        for text in (event.label, event.note or "", event.thread or ""):
            text.encode("utf-8")
            shown = plain(text)
            assert is_harmless(shown), ascii(shown)
            assert "\n" not in shown, ascii(shown)
    samples.decode_samples(content.decode("ascii", "replace"))
    split = pages.decode_pages(content)
    assert split is None or split.bytes >= 0
    for cell in cells.decode_cells(content).values():
        (cell.title + cell.source).encode("utf-8")
    try:
        meta = observation.decode_meta(content, Path("meta.json"))
    except CaptureError:
        return
    assert meta.duration_s is None or 0 <= meta.duration_s <= journal.MAX_TIME_S


def main(seconds: float, seed: int, files: Sequence[Path]) -> None:
    """Decode damaged copies of ``files`` for a while, and print the number of inputs."""
    contents = [path.read_bytes() for path in files]
    if atheris is not None:
        _guided(seconds, seed, contents)
    chance = random.Random(seed)
    inputs = 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        content = chance.choice(contents)
        for _ in range(chance.randint(1, 4)):
            content = chance.choice((mutated, mutated_lines))(content, chance)
        inputs += 1
        try:
            decode(content)
        except Exception:
            Path("crash-decoders").write_bytes(content)
            raise
    print(f"decoders: {inputs} inputs by chance")


def _guided(seconds: float, seed: int, contents: Sequence[bytes]) -> None:
    """Does not return: the fuzzer ends the process."""
    corpus = Path("corpus")
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        (corpus / f"seed-{number}").write_bytes(content)
    limits = [f"-max_total_time={max(1, int(seconds))}", "-max_len=20000", "-print_final_stats=1"]
    limits.append(f"-seed={seed}")
    atheris.Setup([sys.argv[0], *limits, str(corpus)], decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), [Path(word) for word in sys.argv[3:]])
