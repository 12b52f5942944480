"""Name what is in photos, with an exported model: see export_model.py.

python infer.py --input_file utils/demo_images --model_file output/model.pdmodel
"""

import sys
from pathlib import Path

from datasets.spec import load_spec
from utils.benchmark_log import BenchmarkLog
from utils.deploy import find_model, read_deploy
from utils.engines import open_engine
from utils.errors import UserError, run_script
from utils.evaluation.calibration import calibrate
from utils.options import OPTIONS, make_parser
from utils.parts import Part, parts_of, rank_and_world
from utils.photos import find_photos
from utils.predictions import labels_of, score_photos
from utils.thresholds import choose_thresholds

CHANGES = {
    "dataset": dict(default=None, help="checked against the model's classes (default: as exported)"),
    "batch_size": dict(default=1, short="-b"),
    "threshold": dict(default=None, help=OPTIONS["threshold"]["help"] + " (default: as exported)"),
}


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        changes=CHANGES,
        model="model_file params_file engine dataset threshold thresholds",
        data="input_file batch_size num_workers out resume",
        run="use_gpu precision ir_optim use_tensorrt gpu_mem enable_mkldnn cpu_threads enable_benchmark",
    )
    return parser.parse_args(argv)


def main(args):
    if args.resume and not args.out:
        raise UserError("--resume goes on with a table of scores; name it with --out")
    photos = find_photos(args.input_file, "--input_file")
    engine, deployed = open_model(args)
    print("\n".join([*engine.notes, f"Inference model({model_name(deployed)})...", f"engine: {engine.name}"]))
    cut = choose_thresholds(args.threshold, args.thresholds, deployed, deployed["classes"])
    rank, world = rank_and_world()
    photos = photos[rank::world]
    part = None
    if args.out:
        if args.resume and Path(args.out).exists() and not parts_of(args.out):
            print(f"{args.out} is complete: nothing to resume; without --resume it is made anew")
            return 0
        about = {"model": deployed["files"], "threshold": cut[0], "temperature": cut[1]}
        part = Part(args.out, about, rank, world, args.resume)
        photos = [path for path in photos if path not in part.done]
    if args.resume:
        print(f"{len(photos)} photos to do, {len(part.done)} done before")
    log = None
    if args.enable_benchmark:
        log = BenchmarkLog(engine, model_name(deployed), args.batch_size, deployed["img_size"])
    read = name_photos(args, engine, deployed, cut, photos, part, log)
    if part:
        part.finish(deployed["classes"])
    if log:
        log.report(read)
    return 0 if read == len(photos) else 1


def name_photos(args, engine, deployed, cut, photos, part, log):
    """Print the labels of each photo and put its scores into the part; return how many could be read.

    cut: threshold (a number or one a class) and temperature.
    """
    times = log.times if log else None
    threshold, temperature = cut
    read = 0
    size = deployed["img_size"]
    for path, scores in score_photos(engine.run, photos, size, args.batch_size, args.num_workers, times):
        if isinstance(scores, UserError):
            print(f"error: {scores}", file=sys.stderr)
            continue
        scores = calibrate(scores, temperature)
        labels = labels_of(scores, deployed["classes"], threshold)
        print(f"{path}\tprediction: \n{''.join(label + ',' for label in labels)}")
        if part:
            part.add(path, labels, scores.tolist())
        read += 1
    return read


def open_model(args):
    """(engine, content of deploy.json) as the options ask; UserError where they contradict the export."""
    model_file = find_model(args.model_file)
    deployed = read_deploy(model_file, args.params_file)
    if args.dataset and list(load_spec(args.dataset)[0].classes) != deployed["classes"]:
        raise UserError(f"--dataset {args.dataset} has other classes than {model_file}; leave the option out")
    precision = args.precision or deployed["precision"]
    if "int8" in (precision, deployed["precision"]) and precision != deployed["precision"]:
        raise UserError(
            f"--precision {precision}, but {model_file} is {deployed['precision']}; "
            "export_model.py --format openvino makes either"
        )
    engine = open_engine(
        model_file,
        args.params_file,
        args.engine,
        precision,
        args.cpu_threads,
        use_gpu=args.use_gpu,
        ir_optim=args.ir_optim,
        use_tensorrt=args.use_tensorrt,
        gpu_mem=args.gpu_mem,
        enable_mkldnn=args.enable_mkldnn,
    )
    return engine, deployed


def model_name(deployed):
    """The seed's name of a model: CSRARes101 for resnet101."""
    return "CSRA" + deployed["model"].replace("resnet", "Res")


if __name__ == "__main__":
    run_script(main, parse_args)
