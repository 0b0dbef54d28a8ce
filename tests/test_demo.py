"""`make demo`: starts, is full of data, hears of changes, and leaves nothing behind (CONTRACT, Commands)."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from tests.beside import until
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import free_port

FIRST_CONTACT = re.compile(r'href="(/contacts/[^"?.]+)')
HEARD = re.compile(r"Web hooks.{0,200}last one", re.DOTALL)
DEMO = Path(__file__).parents[1] / "scripts/demo.py"


def start_demo(port: int, folder: Path) -> Running:
    process = subprocess.Popen(
        [sys.executable, DEMO, "--port", str(port)],
        cwd=folder,
        env=Program(folder).environment({"TMPDIR": str(folder)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    return Running(process, (process.stdout, process.stderr))


def test_demo(tmp_path: Path) -> None:
    port = free_port()
    demo = start_demo(port, tmp_path)
    try:
        url = demo.wait_for_line(r"Open (http://\S+)", timeout=90)[1]
        assert url == f"http://127.0.0.1:{port}/"
        children = psutil.Process(demo.pid).children(recursive=True)
        assert children
        login = demo.wait_for_line(r"Log in as (\S+) with the password (\S+)")
        with httpx.Client(base_url=url, follow_redirects=True) as web:
            answer = web.post("login", data={"email": login[1], "password": login[2]})
            assert answer.url.path == "/"
            for page in ("", "contacts", "companies", "conversations", "unmatched", "syncs"):
                answer = web.get(page)
                assert answer.status_code == 200, page
            # People come first in the import that has just begun, but not before the page.
            contact = until(lambda: FIRST_CONTACT.search(web.get("contacts").text))
            assert web.get(contact[1]).status_code == 200
            until(lambda: HEARD.search(web.get("").text), 120)
        demo.process.terminate()
        assert demo.wait(30) == 0
        _, left = psutil.wait_procs(children, timeout=10)
        assert not left
        assert "Traceback" not in demo.output
        assert not list(tmp_path.glob("crispsync-demo-*"))
    finally:
        demo.kill()


def test_demo_on_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start_demo(port, tmp_path)
        assert demo.wait(60) == 2
        assert f"Port {port}" in demo.output
        assert "Traceback" not in demo.output
        assert not list(tmp_path.glob("crispsync-demo-*"))


def test_demo_stopped_while_it_starts(tmp_path: Path) -> None:
    demo = start_demo(free_port(), tmp_path)
    demo.wait_for_line("Connected")
    children = psutil.Process(demo.pid).children(recursive=True)
    demo.process.terminate()
    assert demo.wait(30) == 0
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left
    assert not list(tmp_path.glob("crispsync-demo-*"))
