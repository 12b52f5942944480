"""The machine: packages, ports, GPUs."""

import socket
from contextlib import contextmanager
from unittest import mock

from benchmarks.bad_input.outputs import evaluate
from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import data_set, train, without


@contextmanager
def no_gpu(folder):
    with mock.patch("paddle.device.cuda.device_count", return_value=0):
        yield


@bad(
    "val",
    "a report without the package for it",
    "this needs jinja2, which is not installed: pip install jinja2",
    without("jinja2"),
)
def report_package(folder):
    return evaluate("--report", "out")


@bad(
    "train",
    "curves without the package for them",
    "this needs visualdl, which is not installed: pip install visualdl",
    without("visualdl"),
)
def curves_package(folder):
    return ["--dataset", data_set(), *train("--save_dir", "save", "--log_dir", "curves")]


@contextmanager
def port_taken(folder):
    with socket.create_server(("127.0.0.1", 17861)):
        yield


@bad(
    "app",
    "a port in use",
    "port 17861 of 127.0.0.1: Address already in use...; choose another with --port",
    port_taken,
)
def app_port(folder):
    return ["--port", "17861"]


@bad(
    "app",
    "no package gradio",
    "this needs gradio, which is not installed: pip install gradio",
    without("gradio"),
)
def app_package(folder):
    return ["--port", "17862"]


@bad(
    "train",
    "a GPU where there is none",
    "--device gpu, but this Paddle sees no GPU; install paddlepaddle-gpu or give --device cpu",
    no_gpu,
)
def train_gpu(folder):
    return ["--dataset", data_set(), *train("--device", "gpu")]
