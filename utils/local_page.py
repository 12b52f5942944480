"""A Gradio page for this machine alone, which asks no other machine and leaves no file behind."""

import base64
import html
import io
import logging
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

from datasets.transforms import read_photo
from utils.errors import UserError
from utils.optional import optional

HOST = "127.0.0.1"
LARGEST_FILE = "20mb"
SESSIONS = 16  # browser tabs whose state is kept; the oldest is forgotten
OFF = ("share", "show_error", "ssr_mode", "mcp_server", "pwa", "enable_monitoring", "run_history")
FONTS = dict(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # Gradio's are downloaded


@contextmanager
def private_gradio():
    """The module gradio, without telemetry; within the block this process writes temporary files, uploads
    among them, to a folder that only its user can read and that is gone at the end, also after SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="csra_app_") as folder:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = folder  # read when gradio is imported
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = HOST  # it looks whether its own page answers
        try:
            gradio = optional("gradio")
            logging.getLogger("httpx").setLevel(logging.WARNING)  # which would tell of these requests
            yield gradio
        finally:
            tempfile.tempdir = None


def check_port(port):
    """UserError unless a server can be opened on this port of HOST."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise UserError(f"port {port} of {HOST}: {error.strerror}; choose another with --port") from None


def read_upload(path):
    """Read an uploaded photo (Pillow, RGB) and delete its file. UserError when it cannot be read."""
    try:
        return read_photo(path)
    except UserError as error:
        raise UserError(str(error).replace(path, Path(path).name)) from None  # where it was says nothing
    finally:
        Path(path).unlink(missing_ok=True)


def as_html(image, text):
    """A Pillow image as HTML that holds it, with a text beneath, which is also what a screen reader says."""
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=90)
    data, text = base64.b64encode(jpeg.getvalue()).decode(), html.escape(text)
    return f'<img alt="{text}" src="data:image/jpeg;base64,{data}"><div>{text}</div>'


class OwnPagesOnly:
    """ASGI middleware: a request that says it comes from a page of another origin gets 403."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        app, headers = self.app, dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        if scope["type"] == "http" and origin not in (None, b"http://" + headers.get(b"host", b"")):
            app = optional("starlette.responses").PlainTextResponse("another origin", status_code=403)
        await app(scope, receive, send)


def serve(gradio, page, port, css):
    """Serve a page (gradio.Blocks) on HOST until a signal ends the process.

    Requests that name another host, or that a page elsewhere makes a browser send, are refused.
    """
    hosts = optional("starlette.middleware.trustedhost").TrustedHostMiddleware
    guard = optional("starlette.middleware").Middleware
    guards = [guard(hosts, allowed_hosts=[HOST, "localhost"]), guard(OwnPagesOnly)]
    page.queue(api_open=False).launch(
        server_name=HOST,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        max_file_size=LARGEST_FILE,
        state_session_capacity=SESSIONS,
        footer_links=[],
        theme=gradio.themes.Default(**FONTS),
        css=css,
        app_kwargs={"middleware": guards},
        **dict.fromkeys(OFF, False),
    )
    print(f"open http://{HOST}:{port} in a browser; Ctrl-C ends it", flush=True)
    try:
        page.server.thread.join()
    finally:
        page.close(verbose=False)
