"""Fetching from a server of our own that breaks off, lies, redirects and hangs; no other machine is asked."""

import hashlib
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from utils.errors import UserError
from utils.prepare import fetch as fetching
from utils.prepare.fetch import Archive, fetch, remaining

CONTENT = np.random.default_rng(0).bytes(300_000)
NAME = "photos.tar"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def whole(handler, content, start=0):
    """Answer as a good server: the file, or what of it was asked for."""
    handler.server.starts.append(start)
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    for name, value in handler.server.headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content[start:])


def asked_from(handler):
    """Where the range that was asked for starts; 0 without one, or when the file has changed since."""
    changed = handler.headers.get("If-Range") not in (None, *handler.server.headers.values())
    asked = handler.headers.get("Range")
    return int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not changed else 0


def good(handler):
    whole(handler, CONTENT, asked_from(handler))


def without_range(handler):
    whole(handler, CONTENT)


def wrong_content(handler):
    whole(handler, CONTENT[::-1], asked_from(handler))


def breaks_off(handler, respects_range=True):
    """At most 100,000 bytes a connection."""
    start = asked_from(handler) if respects_range else 0
    whole_write, count = handler.wfile.write, 100_000

    def write(data):
        whole_write(data[:count] if len(data) > count else data)

    handler.wfile.write = write
    whole(handler, CONTENT, start)
    handler.close_connection = True


def breaks_off_without_range(handler):
    breaks_off(handler, respects_range=False)


def first_100_000(handler):
    """Gives the beginning once, then nothing any more."""
    if handler.server.asked.count(handler.path) > 1:
        handler.send_error(503)
    else:
        breaks_off(handler)


def first_100_000_wrong(handler):
    if handler.server.asked.count(handler.path) > 1:
        handler.send_error(503)
    else:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(b"x" * 100_000)
        handler.close_connection = True


def claims(length):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(CONTENT)
        handler.close_connection = True

    return answer


def endless(handler):
    """No length, and more bytes than the file has."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(CONTENT)
    handler.server.sent_all = True


def without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT)


def another_part(handler):
    if asked_from(handler) == 0:
        return breaks_off(handler)
    whole(handler, CONTENT, asked_from(handler) + 7)


def html(handler):
    page = b"<html>The file has moved</html>"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)


def redirect(where):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", where(handler) if callable(where) else where)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hangs(handler):
    handler.server.released.wait(20)


def hangs_in_the_middle(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:1000])
    handler.wfile.flush()
    handler.server.released.wait(20)
    handler.close_connection = True


def no_http(handler):
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


ANSWERS = {
    "good": good,
    "without_range": without_range,
    "wrong": wrong_content,
    "breaks_off": breaks_off,
    "breaks_off_without_range": breaks_off_without_range,
    "first": first_100_000,
    "first_wrong": first_100_000_wrong,
    "shorter": claims(200_000),
    "longer": claims(400_000),
    "senseless": claims("many"),
    "endless": endless,
    "without_length": without_length,
    "another_part": another_part,
    "html": html,
    "missing": lambda handler: handler.send_error(404),
    "redirect": redirect("/good"),
    "loop": redirect(lambda handler: f"/loop?{time.monotonic_ns()}"),
    "to_file": redirect("file:///etc/passwd"),
    "to_ftp": redirect("ftp://127.0.0.1/x"),
    "hangs": hangs,
    "hangs_in_the_middle": hangs_in_the_middle,
    "no_http": no_http,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.ranges.append(self.headers.get("Range"))
        if self.headers.get("Accept-Encoding") != "identity":
            return self.send_error(406)  # a server may compress what it sends otherwise
        try:
            ANSWERS[self.path.strip("/").split("?")[0]](self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had enough

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on this machine; server.url(name) answers as ANSWERS say. Whom else is asked is an error."""
    monkeypatch.setenv("no_proxy", "*")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.asked, httpd.ranges, httpd.starts, httpd.headers = [], [], [], {"ETag": '"one"'}
    httpd.released, httpd.sent_all = threading.Event(), False
    httpd.url = lambda name: f"http://127.0.0.1:{httpd.server_port}/{name}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield httpd
    httpd.released.set()
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def get(server, tmp_path):
    """get(names): fetch the file from these addresses in turn into tmp_path; its content."""

    def run(*names, timeout=5, checksum=MD5):
        archive = Archive(NAME, len(CONTENT), checksum, tuple(map(server.url, names)))
        return fetch(archive, tmp_path, timeout, pause=0).read_bytes()

    return run


@pytest.fixture
def part(tmp_path):
    return tmp_path / f"{NAME}.part"


def left(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    "name", ["good", "without_range", "breaks_off", "without_length", "redirect", "endless"]
)
def test_what_ends_with_the_file(get, server, tmp_path, name):
    assert get(name) == CONTENT
    assert left(tmp_path) == [NAME]
    assert not server.sent_all  # by the server that sends without end


def test_a_sha256_counts_as_well(get):
    assert get("good", checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}") == CONTENT
    with pytest.raises(UserError, match="not the official archive"):
        get("good", checksum=f"sha256:{hashlib.sha256(b'').hexdigest()}")


BAD = {
    "wrong": "wrong checksum and was thrown away",
    "shorter": "has a file of another size \\(200000 bytes to come, not 300000\\)",
    "longer": "has a file of another size \\(400000 bytes",
    "senseless": "has a file of another size \\(many",
    "html": "has a file of another size \\(31 bytes",
    "missing": "HTTP 404",
    "loop": "HTTP 302 .*infinite loop",
    "to_file": "HTTP 302 .*file:///etc/passwd",
    "to_ftp": "unknown url type: ftp",
    "hangs": "no answer \\(timed out\\)",
    "hangs_in_the_middle": "broke off 5 times, last after 1000 of 300000",
    "breaks_off_without_range": "broke off 5 times, last after 100000 of 300000",
    "another_part": "gives another part",
    "no_http": "no answer",
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_server_does_wrong_is_told_in_one_line(get, tmp_path, name):
    with pytest.raises(UserError, match=f"cannot get {NAME}: 127.0.0.1:.*{BAD[name]}") as error:
        get(name, timeout=0.3)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert NAME not in left(tmp_path)


@pytest.mark.parametrize("name", BAD)
def test_the_next_address_is_tried(get, tmp_path, name):
    assert get(name, "good", timeout=0.3) == CONTENT
    assert left(tmp_path) == [NAME]


def test_who_gives_nothing_leaves_nothing(get, tmp_path):
    with pytest.raises(UserError):
        get("missing", "to_ftp", "no_http", "html")
    assert left(tmp_path) == []


def test_every_address_and_its_fault_is_named(get):
    with pytest.raises(UserError, match="HTTP 404.*another size.*wrong checksum"):
        get("missing", "html", "wrong")


def test_an_address_that_nobody_answers(tmp_path, server):
    addresses = ("http://127.0.0.1:9/x", "http://no such host/", server.url("good"))
    archive = Archive(NAME, len(CONTENT), MD5, addresses)
    assert fetch(archive, tmp_path, 5, 0).read_bytes() == CONTENT


def test_a_broken_connection_is_gone_on_with(get, server):
    assert get("breaks_off") == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_call_goes_on(get, server, part):
    with pytest.raises(UserError, match="HTTP 503.*run the same command again"):
        get("first")
    assert part.read_bytes() == CONTENT[:100_000]
    archive = Archive(NAME, len(CONTENT), "", ())
    assert remaining(archive, part.parent) == 200_000
    server.ranges.clear()
    assert get("good") == CONTENT
    assert server.ranges == ["bytes=100000-"]
    assert remaining(archive, part.parent) == 0


def test_without_range_a_later_call_starts_anew(get, part):
    part.write_bytes(CONTENT[:1234])
    assert get("without_range") == CONTENT


def test_a_file_that_changed_meanwhile_starts_anew(get, server, part):
    part.write_bytes(b"of yesterday" * 1000)
    part.with_name(f"{part.name}.from").write_text(f'{server.url("good")}\n"zero"\n')
    assert get("good") == CONTENT
    assert server.asked == ["/good"]  # at once, not after a wrong checksum


@pytest.mark.parametrize(
    "headers", [{}, {"Last-Modified": "Tue, 06 Nov 2007 10:00:00 GMT"}, {"ETag": 'W/"x"'}]
)
def test_servers_with_other_marks_of_a_version(get, server, part, headers):
    server.headers = headers
    with pytest.raises(UserError):
        get("first")
    version = headers.get("Last-Modified", "")
    assert part.with_name(f"{part.name}.from").read_text() == f"{server.url('first')}\n{version}\n"
    server.asked.clear()
    assert get("good") == CONTENT


def test_a_wrong_beginning_from_elsewhere_is_thrown_away(get, server, tmp_path):
    """The second address gives the rest, then, since the sum is wrong, the whole."""
    assert get("first_wrong", "good") == CONTENT
    assert server.ranges[-2:] == ["bytes=100000-", None]
    assert left(tmp_path) == [NAME]


def test_a_part_that_is_whole_or_too_long(get, server, part):
    part.write_bytes(CONTENT)
    assert get("good") == CONTENT
    assert server.asked == []
    (part.parent / NAME).unlink()
    part.write_bytes(CONTENT + b"more")
    assert get("good") == CONTENT
    assert server.ranges == [None]


def test_a_file_that_is_there_is_used_or_refused(get, server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert get("missing") == CONTENT
    assert server.asked == []
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(UserError, match="is not the official archive .*remove it"):
        get("good")
    assert (tmp_path / NAME).read_bytes() == b"mine"


def test_two_processes_do_not_write_one_file(get, part):
    fcntl = pytest.importorskip("fcntl")
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is fetching"):
            get("good")


def test_ctrl_c_leaves_what_came(get, part, monkeypatch):
    chunks = fetching._chunks

    def interrupted(response, most):
        yield next(chunks(response, 5000))
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get("good")
    monkeypatch.setattr(fetching, "_chunks", chunks)
    count = part.stat().st_size
    assert 0 < count <= 5000
    assert part.read_bytes() == CONTENT[:count]
    assert get("good") == CONTENT
