"""The block of AutoLog, with auto_log and without."""

import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from utils import benchmark_log
from utils.benchmark_log import KEYS, WARM_UP, BenchmarkLog, Times
from utils.engines import Engine

CONF = {
    "runtime_device": "cpu",
    "ir_optim": True,
    "enable_memory_optim": False,
    "enable_tensorrt": False,
    "precision": "fp32",
    "enable_mkldnn": True,
    "cpu_math_library_num_threads": 2,
}


@pytest.fixture
def engine():
    """An engine that notes its batches."""
    batches = []
    engine = Engine(batches.append, "Test 1.0, CPU, 2 threads, fp32", "fp32", conf=CONF)
    engine.batches = batches
    return engine


def measure(log):
    """Three batches of 4, 6 and 2 ms before, in and after the engine."""
    for _ in range(3):
        log.times.start()
        for milliseconds in (4, 6):
            time.sleep(milliseconds / 1000)
            log.times.stamp()
        time.sleep(0.002)
        log.times.end(stamp=True)


def test_times():
    times = Times()
    measure(SimpleNamespace(times=times))
    for key, least in zip(KEYS, (0.004, 0.006, 0.002), strict=True):
        assert len(times.times[key]) == 3
        assert all(least <= seconds < least + 0.1 for seconds in times.times[key])
    assert np.allclose(times.total_time, np.sum(list(times.times.values()), axis=0))


def test_warm_up_does_not_count(engine, monkeypatch):
    monkeypatch.setattr(benchmark_log, "find_spec", lambda name: None)
    log = BenchmarkLog(engine, "CSRARes18", 2, 8)
    assert [batch.shape for batch in engine.batches] == [(2, 8, 8, 3)] * WARM_UP
    assert log.times.total_time == []


def test_our_own_block(engine, monkeypatch, capsys):
    monkeypatch.setattr(benchmark_log, "find_spec", lambda name: None)
    log = BenchmarkLog(engine, "CSRARes18", 2, 8)
    measure(log)
    log.report(5)
    said = capsys.readouterr().out
    for title in ("Env", "Paddle", "Conf", "Model", "Data", "Perf"):
        assert f"- {title} info -" in said
    for line in (
        " runtime_device: cpu",
        " enable_mkldnn: True",
        " cpu_math_library_num_threads: 2",
        " model_name: CSRARes18",
        " precision: fp32",
        " batch_size: 2",
        " data_num: 3",
    ):
        assert f"\n{line}\n" in said
    for text in ("cpu_rss(MB): ", " total time spent(s): ", "preprocess_time(ms): ", ": p50 ", ", p99 "):
        assert text in said
    assert "5 photos in " in said
    assert said.endswith(" images/s\n")


def test_nothing_was_read(engine, monkeypatch, capsys):
    monkeypatch.setattr(benchmark_log, "find_spec", lambda name: None)
    BenchmarkLog(engine, "CSRARes18", 2, 8).report(0)
    assert "nothing to report" in capsys.readouterr().out


def test_auto_log_is_used_and_cannot_end_the_process(engine, monkeypatch, capsys):  # fault 35
    class AutoLogger:
        def __init__(self, **given):
            self.given, self.times = given, Times()

        def report(self):
            print("the report of", self.given["model_name"], self.given["inference_config"]["runtime_device"])
            sys.exit(0)

    monkeypatch.setattr(benchmark_log, "find_spec", lambda name: name)
    module = ModuleType("auto_log")
    module.AutoLogger = AutoLogger
    monkeypatch.setitem(sys.modules, "auto_log", module)
    log = BenchmarkLog(engine, "CSRARes18", 2, 8)
    measure(log)
    log.report(5)
    said = capsys.readouterr().out
    assert "the report of CSRARes18 cpu\n" in said
    assert said.endswith(" images/s\n")
