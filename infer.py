"""Name what is in photos, with an exported model: see export_model.py.

python infer.py --input_file utils/demo_images --model_file output/model.pdmodel
"""

import sys
from pathlib import Path

from datasets.spec import load_spec
from utils.deploy import find_model, read_deploy
from utils.engines import choose_engine, open_engine
from utils.errors import UserError, run_script
from utils.options import OPTIONS, make_parser
from utils.photos import find_photos
from utils.predictions import labels_of, score_photos, write_predictions

CHANGES = {
    "dataset": dict(default=None, help="checked against the model's classes (default: as exported)"),
    "batch_size": dict(default=1, short="-b"),
    "threshold": dict(default=None, help=OPTIONS["threshold"]["help"] + " (default: as exported)"),
}


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        changes=CHANGES,
        model="model_file params_file engine dataset threshold",
        data="input_file batch_size num_workers out",
        run="use_gpu precision ir_optim use_tensorrt gpu_mem enable_mkldnn cpu_threads",
    )
    return parser.parse_args(argv)


def main(args):
    photos = find_photos(args.input_file, "--input_file")
    engine, deployed = open_model(args)
    for line in engine.notes:
        print(line)
    print(f"Inference model({model_name(deployed)})...")
    print(f"engine: {engine.name}")
    threshold = deployed["threshold"] if args.threshold is None else args.threshold
    predictions = []
    for path, scores in score_photos(
        engine.run, photos, deployed["img_size"], args.batch_size, args.num_workers
    ):
        if isinstance(scores, UserError):
            print(f"error: {scores}", file=sys.stderr)
            continue
        labels = labels_of(scores, deployed["classes"], threshold)
        print(f"{path}\tprediction: \n{''.join(label + ',' for label in labels)}")
        predictions.append((path, labels, scores.tolist()))
    if args.out:
        write_predictions(Path(args.out), predictions, deployed["classes"])
    return 0 if len(predictions) == len(photos) else 1


def open_model(args):
    """(engine, content of deploy.json) as the options ask; UserError where they contradict the export."""
    model_file = find_model(args.model_file)
    deployed = read_deploy(model_file, args.params_file)
    if args.dataset and list(load_spec(args.dataset)[0].classes) != deployed["classes"]:
        raise UserError(
            f"--dataset {args.dataset} has other classes than {model_file} knows; leave the option out"
        )
    return (
        open_engine(
            model_file,
            args.params_file,
            choose_engine(model_file, args.engine),
            args.precision or deployed["precision"],
            args.cpu_threads,
            use_gpu=args.use_gpu,
            ir_optim=args.ir_optim,
            use_tensorrt=args.use_tensorrt,
            gpu_mem=args.gpu_mem,
            enable_mkldnn=args.enable_mkldnn,
        ),
        deployed,
    )


def model_name(deployed):
    """The seed's name of a model: CSRARes101 for resnet101."""
    return "CSRA" + deployed["model"].replace("resnet", "Res")


if __name__ == "__main__":
    run_script(main, parse_args)
