"""The page to play with: a real server, a real upload, a headless Chromium."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs gradio: pip install -r requirements-app.txt")
REPO = Path(__file__).resolve().parents[2]
PHOTO = REPO / "utils/demo_images/000001.jpg"


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def run_app(port, **settings):
    command = [sys.executable, "app.py", "--port", str(port), "--img_size", "96", "--device", "cpu"]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True, **settings)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, its folder for temporary files) of an app that runs with the shipped weights."""
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    process = run_app(port, env={**os.environ, "TMPDIR": str(folder)})
    assert "Ctrl-C ends it" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}", folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert list(folder.iterdir()) == []


def upload(page, address, file):
    page.goto(address)
    page.locator("input[type=file]").set_input_files(file)


def test_a_photo_s_labels_and_heat_maps(server, web_page):
    address, folder = server
    upload(web_page, address, PHOTO)
    picture = web_page.locator("#picture img")
    picture.wait_for()
    plain = picture.get_attribute("src")
    choices = web_page.locator("label", has=web_page.locator("input[type=radio]"))
    assert choices.count() == 21
    scores = [float(re.search(r"[01]\.\d{3}", text)[0]) for text in choices.all_inner_texts()[1:]]
    assert scores == sorted(scores, reverse=True)
    choices.nth(1).click()
    web_page.locator("#picture img[alt^='heat map of']").wait_for()
    assert picture.get_attribute("src") != plain
    assert not [path for path in folder.rglob("*") if path.suffix in (".jpg", ".webp", ".png")]  # not stored


def test_the_threshold_moves_by_hand(server, web_page):
    address, _ = server
    upload(web_page, address, PHOTO)
    web_page.locator("#picture img").wait_for()
    slider = web_page.locator("input[type=range]")
    choices = web_page.locator("label", has=web_page.locator("input[type=radio]"))
    scores = dict(text.removeprefix("✓ ").rsplit(" ", 1) for text in choices.all_inner_texts()[1:])
    first = float(slider.input_value())
    for key, threshold in (("Home", 0), ("End", 1)):
        slider.focus()
        web_page.keyboard.press(key)
        reached = [name for name, score in scores.items() if float(score) >= threshold]
        wait_for_labels(web_page, reached)
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    web_page.mouse.move(box["x"] + box["width"] - 2, y)
    web_page.mouse.down()
    web_page.mouse.move(box["x"] + box["width"] * 0.3, y, steps=5)  # dragged
    web_page.mouse.up()
    now = float(slider.input_value())
    assert 0.2 < now < 0.4 and now != first  # noqa: PT018
    wait_for_labels(web_page, [name for name, score in scores.items() if float(score) >= now])


def wait_for_labels(web_page, names):
    """Until the page names these as the labels, in any order, and marks them among the classes."""
    web_page.wait_for_function(
        """wanted => {
            const said = document.querySelector("#labels textarea, #labels input").value
            const texts = [...document.querySelectorAll("label")].map(label => label.innerText)
            const marked = texts.filter(text => text.startsWith("✓")).length
            const count = wanted === "none" ? 0 : wanted.split(",").length
            return said.split(", ").sort().join() === wanted && marked === count
        }""",
        arg=",".join(sorted(names)) or "none",
    )


def test_what_is_no_photo_is_told_and_the_server_goes_on(server, web_page, tmp_path):
    address, _ = server
    (tmp_path / "text.jpg").write_text("no photo")
    upload(web_page, address, tmp_path / "text.jpg")
    web_page.get_by_text("cannot read photo").first.wait_for()
    upload(web_page, address, PHOTO)
    web_page.locator("#picture img").wait_for()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{address}"}, 200),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 400),
    ],
)
def test_a_page_elsewhere_cannot_upload(server, headers, status):
    address, _ = server
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.html"\r\n\r\nhi\r\n--x--\r\n'
    headers = {name: value.format(address=address) for name, value in headers.items()}
    headers["Content-Type"] = "multipart/form-data; boundary=x"
    request = urllib.request.Request(f"{address}/gradio_api/upload", body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        assert opener.open(request).status == status
    except urllib.error.HTTPError as error:
        assert error.code == status  # noqa: PT017


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = run_app(taken.getsockname()[1], stderr=subprocess.PIPE)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert error.startswith("error: port") and error.count("\n") == 1  # noqa: PT018
