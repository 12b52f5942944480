"""Three engines that run an exported model, behind one small interface.

open_engine(...) -> Engine; engine.run(uint8 (B, S, S, 3)) -> float32 (B, C) in 0..1.
What the machine cannot do is replaced by what it can, and Engine.notes says so.
"""

import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from utils.cpu import has_bfloat16, is_amd_with_avx2, threads_of_a_process
from utils.errors import UserError

ENGINES = {  # suffix of the model file -> engines for it, the best first
    ".json": ("paddle",),
    ".pdmodel": ("paddle",),
    ".onnx": ("openvino", "onnxruntime"),
    ".xml": ("openvino",),
}


@dataclass
class Engine:
    """name says what runs where and how; notes are lines about what was asked for and cannot be had."""

    run: Any
    name: str
    precision: str
    notes: list = field(default_factory=list)
    conf: dict = field(default_factory=dict)  # as auto_log names things


def choose_engine(model_file, engine="auto"):
    """The engine for a model file: the first of ENGINES that is installed, or the one asked for.

    Raises UserError when the file wants another one, or when it is not installed.
    """
    fitting = ENGINES[Path(model_file).suffix]
    if engine not in ("auto", *fitting):
        raise UserError(f"--engine {engine} cannot read {model_file}; it wants {' or '.join(fitting)}")
    wanted = fitting if engine == "auto" else (engine,)
    for name in wanted:
        if find_spec(name):
            return name
    raise UserError(f"{model_file} needs the package {' or '.join(wanted)}: pip install {wanted[0]}")


def open_engine(model_file, params_file=None, engine="auto", precision="fp32", threads=None, **paddle_only):
    """Open an exported model. paddle_only: see open_paddle; the other engines work on the CPU alone.

    precision: "fp32", "bf16", "fp16", or "int8" for a model that was exported so.
    """
    name = choose_engine(model_file, engine)
    threads = threads or threads_of_a_process()
    if name == "paddle":
        params_file = params_file or Path(model_file).with_suffix(".pdiparams")
        return open_paddle(model_file, params_file, precision, threads, **paddle_only)
    return {"openvino": open_openvino, "onnxruntime": open_onnxruntime}[name](model_file, precision, threads)


# --- Paddle Inference


def open_paddle(
    model_file,
    params_file,
    precision="fp32",
    threads=1,
    use_gpu=False,
    ir_optim=True,
    use_tensorrt=False,
    gpu_mem=8000,
    enable_mkldnn=True,
):
    """Paddle Inference: on a GPU where that is wanted and there, else on the CPU, with oneDNN if wanted."""
    if is_amd_with_avx2():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")  # see utils/device.py
    import paddle
    from paddle import inference

    has_gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    gpu = use_gpu and has_gpu
    notes = ["this Paddle sees no GPU: using the CPU"] if use_gpu and not gpu else []
    precision, more = _paddle_precision(precision, gpu, enable_mkldnn)

    def configure(reuse_memory):
        """An inference.Config of these settings; reuse_memory: let tensors that are done with share it."""
        config = inference.Config(os.fsencode(model_file), os.fsencode(params_file))
        config.disable_glog_info()
        config.switch_ir_optim(ir_optim)
        if gpu:
            _use_gpu(inference, config, precision, use_tensorrt, gpu_mem)
        else:
            _use_cpu(config, precision, threads, enable_mkldnn)
        if reuse_memory:
            config.enable_memory_optim()
        return config

    predictor, config, saving = _create(inference, configure)
    where = f"GPU{', TensorRT' if use_tensorrt else ''}" if gpu else f"CPU, {threads} threads"
    where += ", oneDNN" if not gpu and config.mkldnn_enabled() else ""
    name = f"Paddle Inference {paddle.__version__}, {where}, {precision}"
    conf = {
        "runtime_device": "gpu" if gpu else "cpu",
        "ir_optim": config.ir_optim(),
        "enable_memory_optim": saving,
        "enable_tensorrt": config.tensorrt_engine_enabled(),
        "precision": precision,
        "enable_mkldnn": config.mkldnn_enabled(),
        "cpu_math_library_num_threads": config.cpu_math_library_num_threads(),
    }
    return Engine(_paddle_run(predictor), name, precision, [*notes, *more], conf)


def _paddle_precision(precision, gpu, onednn):
    """(precision that can be had, lines about it)."""
    if not gpu and precision == "fp16":
        return "fp32", ["--precision fp16 needs a GPU: using fp32 (bf16 is the CPU's half precision)"]
    if not gpu and precision == "bf16" and not onednn:
        return "fp32", ["--precision bf16 needs --enable_mkldnn True: using fp32"]
    if not gpu and precision == "bf16" and not has_bfloat16():
        return "fp32", ["--precision bf16, but this processor has no bfloat16: using fp32"]
    return precision, []


def _use_gpu(inference, config, precision, use_tensorrt, gpu_mem):
    kinds = inference.PrecisionType
    kind = {"fp32": kinds.Float32, "fp16": kinds.Half, "bf16": kinds.Bfloat16}[precision]
    config.enable_use_gpu(gpu_mem, int(os.environ.get("PADDLE_LOCAL_RANK", 0)), kind)
    if use_tensorrt:
        config.enable_tensorrt_engine(precision_mode=kind)


def _use_cpu(config, precision, threads, onednn):
    config.disable_gpu()
    config.set_cpu_math_library_num_threads(threads)
    if onednn:
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)  # shapes; the last batch may be smaller
        if precision == "bf16":
            config.enable_mkldnn_bfloat16()
    elif hasattr(config, "disable_mkldnn"):  # Paddle 3 has it on unless told otherwise
        config.disable_mkldnn()


def _create(inference, configure):
    """(predictor, config, whether memory is reused between layers, as it is where Paddle can)."""
    try:
        config = configure(reuse_memory=True)
        return inference.create_predictor(config), config, True
    except ValueError:  # Paddle 3 lacks the pass for models in its new format
        config = configure(reuse_memory=False)
        return inference.create_predictor(config), config, False


def _paddle_run(predictor):
    photos = predictor.get_input_handle(predictor.get_input_names()[0])
    scores = predictor.get_output_handle(predictor.get_output_names()[0])
    quietly = iter([_stdout_to_stderr()])  # the first time

    def run(batch):
        photos.reshape(batch.shape)
        photos.copy_from_cpu(batch)
        with next(quietly, nullcontext()):
            predictor.run()
        return scores.copy_to_cpu()

    return run


@contextmanager
def _stdout_to_stderr():
    """Paddle 3.3's oneDNN prints to standard output when it meets a mean; results belong there."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)


# --- OpenVINO and ONNX Runtime, both on the CPU


def open_openvino(model_file, precision="fp32", threads=1):
    """OpenVINO: an .xml, or an .onnx."""
    import openvino

    core = openvino.Core()
    precision, notes = _cpu_precision(
        precision, "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    )
    hint = "bf16" if precision == "bf16" else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    compiled = core.compile_model(str(model_file), "CPU", settings)

    def run(batch):
        return compiled(batch)[0]

    version = openvino.__version__.split("-")[0]
    name = f"OpenVINO {version}, CPU, {threads} threads, {precision}"
    return Engine(run, name, precision, notes, _cpu_conf(precision, threads))


def open_onnxruntime(model_file, precision="fp32", threads=1):
    """ONNX Runtime: an .onnx, in fp32."""
    import onnxruntime

    precision, notes = _cpu_precision(precision, False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
    photos = session.get_inputs()[0].name

    def run(batch):
        return session.run(None, {photos: batch})[0]

    version = onnxruntime.__version__
    name = f"ONNX Runtime {version}, CPU, {threads} threads, {precision}"
    return Engine(run, name, precision, notes, _cpu_conf(precision, threads))


def _cpu_precision(precision, bfloat16):
    """(precision that can be had, lines about it)."""
    if precision == "fp16" or (precision == "bf16" and not bfloat16):
        return "fp32", [f"--precision {precision} cannot be had from this engine on this CPU: using fp32"]
    return precision, []


def _cpu_conf(precision, threads):
    conf = dict.fromkeys(("ir_optim", "enable_memory_optim", "enable_tensorrt", "enable_mkldnn"))
    return {
        "runtime_device": "cpu",
        **conf,
        "precision": precision,
        "cpu_math_library_num_threads": threads,
    }
