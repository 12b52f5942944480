"""Going on with a training that ended before its time.

Beside each of the two newest epoch_N.pdparams lies epoch_N.pdopt: what resuming needs
beyond the weights. Order of photos and all draws derive from seed and epoch, so that on a
CPU the resumed run ends in the same weights, bit by bit, as one that was never interrupted.
"""

from pathlib import Path

import paddle

from models.loading import load_strict
from utils.checkpoint import read_checkpoint
from utils.errors import UserError
from utils.run_folder import epoch_of
from utils.weights import read_state, write_state

AGREE = ("model", "num_heads", "lam", "classes", "img_size", "normalization")  # in a description


def save_state(model, optimizer, path, about):
    """Write the optimizer's state, named after the parameters of `model`, and `about`, a plain dict."""
    names = {value.name: name for name, value in model.named_parameters()}
    tensors = {}
    for key, value in optimizer.state_dict().items():
        if isinstance(value, paddle.Tensor):
            own = _owner(key, names)
            tensors[names[own] + key[len(own) :]] = value.numpy()
    write_state(path, tensors, about)


def resume(choice, run, model, trained, optimizer, description):
    """Continue the run in a RunFolder; returns the number of epochs that are done, 0 for none.

    choice: "auto", the newest epoch of the folder that is whole, or the path of an epoch's
    .pdparams. model: all of it, to be filled; trained: the part that the optimizer steps.
    Raises UserError when a named checkpoint cannot be continued, or is of another model.
    """
    if choice == "auto":
        candidates = sorted(run.folder.glob("epoch_*.pdopt"), key=epoch_of, reverse=True)
    else:
        candidates = [Path(choice).with_suffix(".pdopt")]
    for path in candidates:
        try:
            weights, old = read_checkpoint(path.with_suffix(".pdparams"))
            state, about = read_state(path)
        except UserError as error:
            if choice != "auto":
                raise
            print(f"{error}; trying the epoch before")
            continue
        _check(old, description, path.with_suffix(".pdparams"))
        state = _in_paddles_names(trained, state, path)
        load_strict(model, weights, path.with_suffix(".pdparams"))
        optimizer.set_state_dict(state)
        run.go_on(about["last"], about["best"])
        epoch = about["last"][0]
        print(f"going on after epoch {epoch}, from {path.with_suffix('.pdparams')}")
        return epoch
    if candidates:
        raise UserError(f"no epoch in {run.folder} is whole; start anew without --resume")
    run.start_anew()
    print(f"nothing to go on with in {run.folder}: a new run")
    return 0


def _owner(key, names):
    """The parameter that an entry of an optimizer's state belongs to, by the longest name; None for none."""
    return max((name for name in names if key.startswith(name)), key=len, default=None)


def _in_paddles_names(trained, state, path):
    """The state for an optimizer that steps `trained`; UserError when it was of another part of the model."""
    parameters = dict(trained.named_parameters())
    found, seen = {}, set()
    for key, value in state.items():
        own = _owner(key, parameters)
        seen.add(own)
        if own:
            found[parameters[own].name + key[len(own) :]] = paddle.to_tensor(value)
    if seen != {name for name, value in parameters.items() if not value.stop_gradient}:
        raise UserError(
            f"{path} is of a run that trained another part of the model; give --freeze_backbone as it "
            "did, or start anew without --resume"
        )
    return found


def _check(old, new, path):
    for name in AGREE:
        if old is None or old[name] != new[name]:
            raise UserError(
                f"{path} is of a run with another {name}; give its options, or start anew without --resume"
            )
