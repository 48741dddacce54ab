"""`memdeep watch --web` answers those who know its token, from this machine, and nobody else."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Reader, needs_browser
from driven import Driven
from lives import line, lived
from running import TIMEOUT_S, complaint, environment, memdeep_command, started, wait_until

from memdeep import pipeline
from memdeep.errors import OutputError
from memdeep.live.web import WebWatch
from memdeep.rundir import directory, live
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.live import LiveProcess

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e恶意"
WAITS = """
import memdeep, os, time
from pathlib import Path
kept = []
with memdeep.phase("加载行情"):
    kept.append(b"x" * 30_000_000)
    Path("ready").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[WebWatch]:
    run_dir = directory.create(tmp_path / "run", force=False)
    with WebWatch(run_dir, b"<!doctype html>the page") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(TIMEOUT_S)


def ask(
    server: WebWatch, path: str, *, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=TIMEOUT_S)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def state(server: WebWatch) -> dict[str, Any]:
    status, headers, content = ask(server, f"/{server.token}/live.json")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    found: dict[str, Any] = json.loads(content)
    return found


def test_the_page_and_the_figures_are_for_who_knows_the_token(served: WebWatch) -> None:
    status, headers, content = ask(served, f"/{served.token}/")
    assert (status, content) == (200, served.page)
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers
    assert state(served)["live"] is None
    made = lived(line("a.py", 3))
    live.write(served.run_dir.live, made)
    assert state(served)["live"] == json.loads(live.encode(made))
    assert len(served.token) >= 32


@pytest.mark.parametrize(
    "path", ["/", "//", "/live.json", "/x/", "/{short}/", "/{token}", "/{token}x/", "/é/", "/%2e/"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_all_others_are_refused(served: WebWatch, path: str, method: str) -> None:
    path = path.format(token=served.token, short=served.token[:-1])
    if not path.isascii():
        path = path.encode().decode("latin-1")
    with socket.create_connection(("127.0.0.1", served.server_port), TIMEOUT_S) as raw:
        request = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{served.server_port}\r\n\r\n"
        raw.sendall(request.encode("latin-1"))
        answer = b""
        while more := raw.recv(65536):
            answer += more
    assert answer.startswith(b"HTTP/1.0 403 ")
    assert served.page not in answer


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_host_is_refused_though_it_knows_the_token(served: WebWatch, host: str) -> None:
    host = host.format(port=served.server_port)
    assert ask(served, f"/{served.token}/", Host=host)[0] == 403
    assert ask(served, f"/{served.token}/freeze", method="POST", Host=host)[0] == 403


def test_another_origin_is_refused(served: WebWatch) -> None:
    path, own = f"/{served.token}/live.json", f"http://127.0.0.1:{served.server_port}"
    assert ask(served, path, Origin="https://evil.example")[0] == 403
    assert ask(served, path, Origin="null")[0] == 403
    assert ask(served, path, Origin=own)[0] == 200
    assert ask(served, path, Host=f"localhost:{served.server_port}")[0] == 200


def test_what_is_not_there_is_not_found(served: WebWatch) -> None:
    assert ask(served, f"/{served.token}/report")[0] == 404
    assert ask(served, f"/{served.token}/../../etc/passwd")[0] == 404
    assert ask(served, f"/{served.token}/x", method="POST")[0] == 404
    assert ask(served, f"/{served.token}/", method="PUT")[0] == 501


def test_only_this_machine_is_listened_to(served: WebWatch) -> None:
    assert served.server_address[0] == "127.0.0.1"
    with pytest.raises(OutputError, match=r"Port \d+ cannot be listened on"):
        WebWatch(served.run_dir, b"", served.server_port)


def test_a_damaged_file_is_told_and_texts_deceive_nobody(served: WebWatch) -> None:
    served.run_dir.live.write_bytes(b"{}")
    assert "is damaged" in state(served)["problem"]
    process = LiveProcess(HOSTILE, 1, is_running=True, processes=1)
    live.write(served.run_dir.live, lived(line(HOSTILE, 3, source="\u202e"), process=process))
    assert "\\u202e" not in json.dumps(state(served))


@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_command_serves_the_page_until_ctrl_c(tmp_path: Path, code: str) -> None:
    directory.create(tmp_path / "run", force=False)
    with subprocess.Popen(
        memdeep_command("watch", "--web", *(("--port", "0") if code == "zh" else ()), "run"),
        cwd=tmp_path,
        env=environment(LC_ALL="zh_CN.UTF-8" if code == "zh" else "C.UTF-8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w-]{32}/)", said)
        assert found is not None, said
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=TIMEOUT_S)
        connection.request("GET", found[2])
        page = connection.getresponse().read().decode()
        assert "connect-src 'self'" in page
        assert "unsafe-eval" not in page
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert errors == b""
    assert ("程序继续运行" if code == "zh" else "the run goes on") in output.decode()


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    directory.create(tmp_path / "run", force=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = memdeep_command("watch", "run", "--web", "--port", port)
        done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True)
        assert complaint(done)[0].startswith(f"Port {port} cannot be listened on")
        assert done.returncode == 125
    wrong = memdeep_command("watch", "run", "--web", "--port", "70000")
    assert subprocess.run(wrong, cwd=tmp_path, capture_output=True).returncode == 2


def test_what_is_served_cannot_be_printed_once(tmp_path: Path) -> None:
    directory.create(tmp_path / "run", force=False)
    words = memdeep_command("watch", "run", "--web", "--once")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert b"argument --once: not allowed with argument --web" in done.stderr


@pytest.fixture
def at_page(served: WebWatch, reader: Reader) -> Iterator[Reader]:
    served.page = pipeline.live_page("job.py")
    live.write(served.run_dir.live, lived(line("a.py", 100, 1, -5), line(HOSTILE, 50, 30, 2)))
    reader.driver.get("about:blank")
    reader.driver.get(served.address)
    reader.wait(lambda: reader.ready() == "yes" and reader.all("[data-rows] tr"))
    yield reader
    assert reader.complaints() == []


@needs_browser
def test_the_page_shows_the_lines_and_names_become_no_markup(at_page: Reader) -> None:
    rows = at_page.texts("[data-rows] tr")
    assert [row.split()[0] for row in rows] == ["100.0", "50.0", "2.9"]
    assert "onerror=alert(1)" in rows[1]
    assert not at_page.all("main img")
    assert at_page.texts(".facts dd")[:3] == ["400.0 MB", "410.0 MB", "300.0 MB"]
    assert "回测 › load" in at_page.text("[data-place]")
    assert at_page.text("[data-verdict]") == "Running"
    at_page.click("[data-set-language=zh]")
    assert at_page.text("[data-verdict]") == "运行中"


@needs_browser
def test_the_page_is_sorted_by_the_keyboard_and_keeps_its_rows(at_page: Reader) -> None:
    first = at_page.one("[data-rows] tr")
    button = at_page.all(".live-sort")[1]
    button.send_keys("\ue007")
    assert at_page.texts("[data-rows] tr")[0].startswith("50.0 MB")
    assert at_page.run("return arguments[0].isConnected", first)
    heads = [head.get_attribute("aria-sort") for head in at_page.all("[data-heads] th")]
    assert heads == [None, "descending", None, None]
    assert at_page.run("return document.activeElement === arguments[0]", button)


@needs_browser
def test_the_page_follows_pauses_and_tells_when_nobody_answers(
    at_page: Reader, served: WebWatch
) -> None:
    live.write(served.run_dir.live, lived(line("b.py", 7)))
    at_page.wait(lambda: at_page.texts("[data-rows] tr")[0].startswith("7.0 MB"))
    assert len(at_page.all("[data-rows] tr")) == 2
    at_page.click("[data-pause]")
    assert at_page.one("[data-pause]").get_attribute("aria-pressed") == "true"
    live.write(served.run_dir.live, lived(line("b.py", 9)))
    at_page.run("document.querySelector('[data-pause]').click()")
    at_page.wait(lambda: at_page.texts("[data-rows] tr")[0].startswith("9.0 MB"))
    served.token = "another"
    at_page.wait(lambda: "no longer answers" in at_page.text("[data-note]"))
    at_page.driver.get_log("browser")  # the browser notes that it was refused


@needs_browser
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_its_window(at_page: Reader, width: int, theme: str) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    at_page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    at_page.click(f"[data-set-theme={theme}]")
    assert at_page.run("return document.documentElement.scrollWidth") <= width
    for row in at_page.all("[data-rows] tr"):
        assert row.rect["x"] + row.rect["width"] <= width


@needs_browser
def test_a_report_is_made_of_a_program_that_runs(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "job.py").write_text(WAITS, "utf-8")
    with started(tmp_path, "job.py") as process:
        driven = Driven(tmp_path / "run")
        driven.update()
        driven.close()
        run_dir = RunDirectory(tmp_path / "run")
        with WebWatch(run_dir, pipeline.live_page("job")) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            reader.driver.get(server.address)
            reader.wait(lambda: reader.ready() == "yes" and reader.all("[data-rows] tr"))
            reader.click("[data-freeze]")
            wait_until(lambda: server.report() is not None)
            reader.wait(lambda: reader.one("[data-report]").is_displayed())
            reader.driver.get(f"{server.address}report")
            reader.wait(lambda: reader.ready() == "yes")
            assert "Still running" in reader.text(".outcome")
            assert "加载行情" in reader.text("main")
            assert reader.complaints() == []
            assert state(server)["live"]["process"]["is_running"]
            (tmp_path / "go").touch()
            assert process.wait(TIMEOUT_S) == 0
            ended = state(server)["live"]["process"]
            assert (ended["is_running"], ended["verdict"]) == (False, "completed")
            server.shutdown()
        made = [path.name for path in run_dir.path.glob("frozen/*/*")]
        assert sorted(made) == ["report.html", "report.json"]
