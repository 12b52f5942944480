"""Time by batch, and the block of AutoLog that Paddle's tools read.

auto_log (https://github.com/LDOUBLEV/AutoLog) prints it where it is installed, else the few lines here.
"""

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import numpy as np

KEYS = ("preprocess_time", "inference_time", "postprocess_time")
WARM_UP = 3  # batches


class Times:
    """Seconds by batch, with the names of AutoLog's own: start, a stamp after each of KEYS, end."""

    def __init__(self):
        self.times = {key: [] for key in KEYS}
        self.total_time = []
        self.stamps = []

    def start(self):
        self.stamps = [time.perf_counter()]

    def stamp(self):
        self.stamps.append(time.perf_counter())
        self.times[KEYS[len(self.stamps) - 2]].append(self.stamps[-1] - self.stamps[-2])

    def end(self, stamp=True):
        if stamp:
            self.stamp()
        self.total_time.append(self.stamps[-1] - self.stamps[0])


class BenchmarkLog:
    """Measures a run: hand `times` to score_photos, then report.

    engine, name and batch_size are those of the run, size the side of its photos. Some
    batches are run at once to warm the engine up; they do not count.
    """

    def __init__(self, engine, name, batch_size, size):
        self.engine, self.name, self.batch_size = engine, name, batch_size
        for _ in range(WARM_UP):
            engine.run(np.zeros((batch_size, size, size, 3), np.uint8))
        self.auto_log = self._auto_log() if find_spec("auto_log") else None
        self.times = self.auto_log.times if self.auto_log else Times()
        self.begin = time.perf_counter()

    def report(self, photos):
        """Print the block for `photos` photos, and what AutoLog does not know: percentiles and images/s."""
        seconds = time.perf_counter() - self.begin
        if not self.times.total_time:
            print("no photo was read: nothing to report")
            return
        if self.auto_log:
            sys.stdout.flush()
            with suppress(SystemExit):  # some of its versions end the process after the report
                self.auto_log.report()
        else:
            print("\n".join(self._block()))
        for key, values in (*self.times.times.items(), ("total_time", self.times.total_time)):
            half, most = np.percentile(values, [50, 99]) * 1000
            print(f" {key}(ms) of a batch: p50 {half:.4f}, p99 {most:.4f}")
        print(f" {photos} photos in {seconds:.4f} s: {photos / seconds:.4f} images/s")

    def _auto_log(self):
        return import_module("auto_log").AutoLogger(
            model_name=self.name,
            model_precision=self.engine.precision,
            batch_size=self.batch_size,
            data_shape="dynamic",
            save_path=None,
            inference_config=self.engine.conf,
            pids=os.getpid(),
            process_name=None,
            gpu_ids=0 if self.engine.conf["runtime_device"] == "gpu" else None,
            time_keys=list(KEYS),
            warmup=0,
        )

    def _block(self):
        """AutoLog's lines."""
        paddle = sys.modules.get("paddle")
        mean = {key: 1000 * np.mean(values) for key, values in self.times.times.items()}
        unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        yield "---------------------- Env info ----------------------"
        yield f" OS_version: {platform.platform()}"
        yield f" CUDA_version: {paddle.version.cuda() if paddle else None}"
        yield f" CUDNN_version: {paddle.version.cudnn() if paddle else None}"
        yield "---------------------- Paddle info ----------------------"
        yield f" paddle_version: {paddle.__version__ if paddle else None}"
        yield f" paddle_commit: {paddle.version.commit if paddle else None}"
        yield "----------------------- Conf info -----------------------"
        yield f" engine: {self.engine.name}"
        yield from (f" {key}: {value}" for key, value in self.engine.conf.items() if key != "precision")
        yield "----------------------- Model info ----------------------"
        yield f" model_name: {self.name}"
        yield f" precision: {self.engine.precision}"
        yield "----------------------- Data info -----------------------"
        yield f" batch_size: {self.batch_size}"
        yield " input_shape: dynamic"
        yield f" data_num: {len(self.times.total_time)}"
        yield "----------------------- Perf info -----------------------"
        yield f" cpu_rss(MB): {memory:.4f}, gpu_rss(MB): None, gpu_util: None%"
        yield f" total time spent(s): {sum(self.times.total_time):.4f}"
        yield " " + ", ".join(f"{key}(ms): {mean[key]:.4f}" for key in KEYS)
