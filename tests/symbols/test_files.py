"""Symbols come from the file that ran, or from what belongs to its build; from nothing else."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import libraries
import pytest
from libraries import RESERVE, RESERVE_LINE, needs_compiler

from memdeep.symbols.cache import SymbolCache
from memdeep.symbols.debuginfod import Debuginfod
from memdeep.symbols.elf import ElfFile
from memdeep.symbols.files import SymbolFiles
from memdeep.symbols.images import Image
from memdeep.symbols.tables import build_id

pytestmark = needs_compiler

MANGLED = "_ZN6shapes7reserveEiPKc"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return libraries.build(tmp_path_factory.mktemp("library"))


class Place:
    """A library of its own for a test, its image, and everything that is asked for symbols."""

    def __init__(self, built: Path, directory: Path) -> None:
        self.directory = directory
        self.library = Path(shutil.copy(built, directory / "libshapes.so"))
        self.address = libraries.address_after_call(built, MANGLED)
        with ElfFile(self.library) as elf:
            self.image = Image(str(self.library), elf.segments)
        self.debug = directory / "debug"
        self.until_s = time.time() + 60
        self.build_ids: dict[str, str] = {}
        self.urls = ""
        self.directories: tuple[str, ...] = ()
        self.downloads = Debuginfod({}, directory / "client")

    def files(self, limit_s: float = 5.0) -> SymbolFiles:
        environment = {"DEBUGINFOD_URLS": self.urls}
        self.downloads = Debuginfod(environment, self.directory / "client", limit_s)
        return SymbolFiles(
            SymbolCache(self.directory / "cache"),
            self.downloads,
            self.until_s,
            self.build_ids,
            self.debug,
            self.directories,
        )

    def name(self, limit_s: float = 5.0) -> tuple[str, int] | None:
        """Function and line of the outermost frame."""
        table = self.files(limit_s).find(self.image).table
        frames = () if table is None else table.frames(self.address, "the library")
        return (frames[-1][0], frames[-1][2]) if frames else None

    def by_build_id(self) -> Path:
        build = build_id(self.library)
        assert build is not None
        return self.debug / ".build-id" / build[:2] / f"{build[2:]}.debug"


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Place:
    return Place(built, tmp_path)


FULL = (RESERVE, RESERVE_LINE)
SYMBOL_ONLY = (RESERVE, 0)


def test_debug_information_in_the_file_itself(place: Place) -> None:
    symbols = place.files().find(place.image)
    assert symbols.build_id == build_id(place.library)
    assert place.name() == FULL


def test_a_file_that_is_gone_has_no_symbols(place: Place) -> None:
    place.library.unlink()
    assert place.name() is None


def test_what_is_no_file_has_no_symbols(place: Place) -> None:
    place.library.unlink()
    place.library.mkdir()
    assert place.name() is None
    place.library.rmdir()
    os.mkfifo(place.library)  # opening it would wait for ever
    assert place.name() is None


@pytest.mark.parametrize("name", ["", "linux-vdso.so.1", "libshapes.so", "a\0b", "\ud800", "/"])
def test_names_that_lead_nowhere(place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.directory)  # a relative name was relative to the program
    place.image = Image(name, place.image.segments)
    assert place.name() is None


@pytest.mark.parametrize("name", ["./libshapes.so", "../here/libshapes.so"])
def test_a_relative_path_is_one_from_where_the_program_was(
    place: Place, name: str, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    place.library.rename(tmp_path / "here" / "libshapes.so")
    place.image = Image(name, place.image.segments)
    place.directories = (str(tmp_path / "elsewhere"), str(tmp_path / "here"))
    assert place.name() == FULL
    # A file of the same name that is another one is passed over.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "libshapes.so").write_bytes(b"another")
    assert place.name() == FULL
    place.until_s = 0
    assert place.name() is None


def test_a_file_that_may_not_be_read(place: Place) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    place.library.chmod(0)
    assert place.name() is None


def test_a_file_changed_after_the_run_is_not_the_one_that_ran(place: Place) -> None:
    place.until_s = place.library.stat().st_mtime - 1
    assert place.name() is None


def test_a_file_of_the_same_build_is_the_same_whenever_it_was_copied(place: Place) -> None:
    place.until_s = 0
    place.build_ids = {str(place.library): build_id(place.library) or ""}
    assert place.name() == FULL


def test_a_file_of_another_build_is_another(place: Place) -> None:
    place.build_ids = {str(place.library): "0123456789abcdef"}
    assert place.name() is None


def test_a_library_replaced_during_the_run_has_other_segments(place: Place) -> None:
    source = libraries.SOURCE.replace("sink++", "sink += sink * by")
    libraries.build(place.directory, source=source)
    assert place.name() is None


def test_debug_information_by_build_id(place: Place) -> None:
    libraries.split_debug(place.library, place.by_build_id())
    assert place.name() == FULL


def test_a_file_under_our_build_id_that_is_another_build(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = libraries.build(tmp_path / "other", source=libraries.SOURCE + "int more;\n")
    libraries.run("strip", "--strip-debug", place.library)
    place.by_build_id().parent.mkdir(parents=True)
    shutil.copy(other, place.by_build_id())
    assert place.name() == SYMBOL_ONLY


@pytest.mark.parametrize("where", ["beside", "hidden directory", "debug directory"])
def test_debug_information_by_link(place: Place, where: str) -> None:
    debug = {
        "beside": place.directory / "shapes.dbg",
        "hidden directory": place.directory / ".debug" / "shapes.dbg",
        "debug directory": place.debug / str(place.directory)[1:] / "shapes.dbg",
    }[where]
    libraries.split_debug(place.library, debug)
    libraries.run("objcopy", f"--add-gnu-debuglink={debug}", place.library)
    assert place.name() == FULL


def test_a_linked_file_with_another_sum_is_another_file(place: Place) -> None:
    debug = place.directory / "shapes.dbg"
    libraries.split_debug(place.library, debug)
    libraries.run("objcopy", f"--add-gnu-debuglink={debug}", place.library)
    with open(debug, "ab") as file:
        file.write(b"\0")
    assert place.name() == SYMBOL_ONLY


def test_the_second_report_needs_the_files_no_more(place: Place) -> None:
    libraries.split_debug(place.library, place.by_build_id())
    assert place.name() == FULL
    place.by_build_id().unlink()
    assert place.name() == FULL
    for entry in (place.directory / "cache").iterdir():
        entry.write_bytes(b"damaged")
    assert place.name() == SYMBOL_ONLY  # all that the library itself has left


def test_libraries_without_a_build_id_are_told_apart(place: Place, tmp_path: Path) -> None:
    for number, name in enumerate(("shapes", "forms_")):
        source = libraries.SOURCE.replace("shapes", name)
        libraries.build(tmp_path, "-Wl,--build-id=none", source=source)
        os.utime(place.library, (number, number))
        with ElfFile(place.library) as elf:
            place.image = Image(str(place.library), elf.segments)
        assert place.files().find(place.image).build_id is None
        assert place.name() == (RESERVE.replace("shapes", name), RESERVE_LINE)


def test_debug_information_that_appears_later_is_found(place: Place) -> None:
    kept = place.directory / "kept"
    libraries.split_debug(place.library, kept)
    assert place.name() == SYMBOL_ONLY
    place.by_build_id().parent.mkdir(parents=True)
    kept.rename(place.by_build_id())
    assert place.name() == FULL


class Server:
    """A debuginfod with one file; counts what it is asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.status = 200
        self.cut = False
        self.wait_s = 0.0


@contextmanager
def serving(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            time.sleep(server.wait_s)
            content = server.files.get(self.path)
            status = server.status if content is not None or server.status != 200 else 404
            self.send_response(status)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if content is not None and status == 200:
                self.wfile.write(content[: len(content) // 2] if server.cut else content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def server(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Has the debug information of the library, which has none left."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    debug = place.directory / "served"
    libraries.split_debug(place.library, debug)
    server.files[f"/buildid/{build_id(place.library)}/debuginfo"] = debug.read_bytes()
    with serving(server) as url:
        place.urls = f"{url}/"
        yield server


def test_a_server_is_asked_once(place: Place, server: Server) -> None:
    assert place.name() == FULL
    assert place.name() == FULL
    assert len(server.asked) == 1
    assert place.downloads.failures == 0


def test_no_server_is_asked_unless_the_user_names_one(place: Place, server: Server) -> None:
    place.urls = ""
    assert place.name() == SYMBOL_ONLY
    assert server.asked == []


def test_a_server_that_knows_nothing_is_not_asked_again(place: Place, server: Server) -> None:
    server.files.clear()
    assert place.name() == SYMBOL_ONLY
    assert place.name() == SYMBOL_ONLY
    assert len(server.asked) == 1
    assert place.downloads.failures == 0


@pytest.mark.parametrize("fault", ["status", "cut", "slow", "refused", "scheme"])
def test_a_server_that_fails_costs_no_report(place: Place, server: Server, fault: str) -> None:
    working = place.urls
    if fault == "status":
        server.status = 500
    elif fault == "cut":
        server.cut = True
    elif fault == "slow":
        server.wait_s = 3
    elif fault == "refused":
        place.urls = "http://127.0.0.1:9/"
    else:
        place.urls = "file:///etc ftp://127.0.0.1/ http://[broken"
    started = time.monotonic()
    assert place.name(limit_s=0.5) == SYMBOL_ONLY
    assert time.monotonic() - started < 2.5
    assert place.downloads.failures == 1
    server.status, server.cut, server.wait_s, place.urls = 200, False, 0, working
    assert place.name() == FULL  # and it is asked again


def test_the_next_server_is_asked_after_one_that_knows_nothing(
    place: Place, server: Server
) -> None:
    with serving(Server()) as empty:
        place.urls = f"{empty} {place.urls}"
        assert place.name() == FULL


def test_what_the_users_own_client_fetched_is_used(place: Place, server: Server) -> None:
    build = build_id(place.library)
    kept = place.directory / "client" / f"{build}" / "debuginfo"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(server.files[f"/buildid/{build}/debuginfo"])
    assert place.name() == FULL
    assert server.asked == []
