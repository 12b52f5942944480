"""Name what is in photos, with an exported model: see export_model.py.

python infer.py --input_file utils/demo_images --model_file output/model.pdmodel
"""

from contextlib import ExitStack
from pathlib import Path

from datasets.spec import load_spec
from utils.annotate import annotator
from utils.benchmark_log import BenchmarkLog
from utils.deploy import find_model, read_deploy
from utils.engines import open_engine
from utils.errors import UserError, run_script
from utils.options import OPTIONS, make_parser
from utils.parts import Part, parts_of, rank_and_world
from utils.photos import check_output_folders, find_photos, output_names
from utils.predictions import predict_photos
from utils.rows import about_rows, rows, standard_output
from utils.thresholds import choose_thresholds

TEXT = "{path}\tprediction: \n{labels}\n"
CHANGES = {
    "dataset": dict(default=None, help="checked against the model's classes (default: as exported)"),
    "batch_size": dict(default=1, short="-b"),
    "threshold": dict(default=None, help=OPTIONS["threshold"]["help"] + " (default: as exported)"),
}


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        changes=CHANGES,
        model="model_file params_file engine dataset threshold thresholds topk",
        data="input_file batch_size num_workers format out resume annotated",
        run="use_gpu precision ir_optim use_tensorrt gpu_mem enable_mkldnn cpu_threads enable_benchmark",
    )
    return parser.parse_args(argv)


def main(args):
    if args.resume and not args.out:
        raise UserError("--resume goes on with a table of scores; name it with --out")
    with standard_output(args.format) as stdout, ExitStack() as outputs:
        photos = find_photos(args.input_file, "--input_file")
        check_output_folders({"--annotated": args.annotated}, photos)
        model_file = find_model(args.model_file)
        engine, deployed = open_model(args, model_file)
        said = [*engine.notes, f"Inference model({model_name(deployed)})...", f"engine: {engine.name}"]
        print("\n".join(said))
        classes = deployed["classes"]
        threshold, deployed["temperature"] = choose_thresholds(
            args.threshold, args.thresholds, deployed, classes, args.topk
        )
        about = about_rows(deployed, threshold, model_file)
        writers = []
        if args.annotated:
            writers.append(outputs.enter_context(annotator(args.annotated, output_names(photos), classes)))
        rank, world = rank_and_world()
        photos = photos[rank::world]
        part = None
        if args.resume and Path(args.out).exists() and not parts_of(args.out):
            print(f"{args.out} is complete: nothing to resume; without --resume it is made anew")
            photos = []
        elif args.out:
            made_by = {"model": deployed["files"], "temperature": deployed["temperature"]}
            made_by |= {"threshold": threshold, "topk": args.topk}
            part = Part(args.out, made_by, rank, world, args.resume)
            photos = [path for path in photos if path not in part.done]
            writers.append(part.add)
            if args.resume:
                print(f"{len(photos)} photos to do, {len(part.done)} done before")
        writers.append(outputs.enter_context(rows(stdout, args.format, classes, about, TEXT)))
        log = None
        if args.enable_benchmark:
            log = BenchmarkLog(engine, model_name(deployed), args.batch_size, deployed["img_size"])
        done, times = 0, log and log.times
        for photo in predict_photos(
            engine.run, photos, deployed, threshold, args.topk, args.batch_size, args.num_workers, times
        ):
            for write in writers:
                write(photo)
            done += 1
        if part:
            part.finish(classes, about)
        if log:
            log.report(done)
    return 0 if done == len(photos) else 1


def open_model(args, model_file):
    """(engine, content of deploy.json) as the options ask; UserError where they contradict the export."""
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
