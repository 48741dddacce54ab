"""Fetches debug information by build id, as debuginfod serves it, within a limit of time.

Source of the protocol and of the names of variables and files: elfutils, debuginfod(8) and
debuginfod-find(1). Nothing here fails; failed requests are counted.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

LIMIT_S = 10.0  # for everything that one report fetches
WAIT_S = 4.0  # for one answer
_CHUNK_BYTES = 1 << 18


class Debuginfod:
    """The servers named in ``DEBUGINFOD_URLS`` (separated by spaces), asked in order.

    ``kept_in`` is the directory where the user's own debuginfod client keeps the files it fetched.
    ``failures`` counts the requests that were not answered in time, or answered with an error; a
    plain "not found" is no failure.
    """

    def __init__(
        self, environment: Mapping[str, str], kept_in: Path, limit_s: float = LIMIT_S
    ) -> None:
        urls = environment.get("DEBUGINFOD_URLS", "").split()
        self._urls = [url for url in urls if url.startswith(("http://", "https://"))]
        self._kept_in = kept_in
        self._left_s = limit_s
        self.failures = 0

    @property
    def is_used(self) -> bool:
        """Tell if there is a server to ask."""
        return bool(self._urls)

    def with_file(self, build_id: str, use: Callable[[Path], bytes | None]) -> bytes | None:
        """Apply ``use`` to the file with the debug information; return None if there is none.

        A file that the user's debuginfod client has fetched before is used where it lies.
        """
        kept = self._kept_in / build_id / "debuginfo"
        with suppress(OSError):
            if kept.stat().st_size:
                return use(kept)
        with tempfile.TemporaryDirectory(prefix="memdeep-", ignore_cleanup_errors=True) as place:
            path = Path(place) / "debuginfo"
            return use(path) if self._fetch(build_id, path) else None

    def _fetch(self, build_id: str, path: Path) -> bool:
        # Here and not above: it takes longer to import than most reports take to name stacks.
        from http.client import HTTPException
        from urllib.error import HTTPError

        for url in self._urls:
            if self._left_s <= 0:
                self.failures += 1
                return False
            started = time.monotonic()
            try:
                self._download(f"{url.rstrip('/')}/buildid/{build_id}/debuginfo", path)
            except HTTPError as error:
                error.close()
                self.failures += error.code != 404
            except (OSError, HTTPException, ValueError):
                self.failures += 1
            else:
                return True
            finally:
                self._left_s -= time.monotonic() - started
        return False

    def _download(self, url: str, path: Path) -> None:
        """Download ``url`` to ``path``. Raises OSError, HTTPException or ValueError."""
        from http.client import IncompleteRead
        from urllib.request import urlopen

        end = time.monotonic() + self._left_s
        with (
            urlopen(url, timeout=min(WAIT_S, self._left_s)) as answer,
            open(path, "wb") as file,
        ):
            free = shutil.disk_usage(path.parent).free
            while chunk := answer.read1(_CHUNK_BYTES):
                if time.monotonic() > end or file.tell() + len(chunk) > free // 2:
                    raise TimeoutError
                file.write(chunk)
            if answer.length:
                raise IncompleteRead(b"", answer.length)
