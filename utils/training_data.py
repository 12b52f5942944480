"""The loaders of a training: of photos, or of the feature maps of a frozen trunk."""

from pathlib import Path

from datasets.cache import RamCache
from datasets.features import FeatureLoader
from datasets.loader import Loader, Share
from utils.errors import UserError
from utils.features import cached_features


def training_augmentations(args, spec):
    """Augmentations in training; with a frozen trunk those that feature maps allow. UserError for others."""
    given = spec.train_aug if args.train_aug is None else args.train_aug
    if not args.freeze_backbone:
        return given
    beyond = [*(name for name in args.train_aug or () if name != "randomflip"), *args.test_aug]
    if beyond:
        raise UserError(f"--freeze_backbone sees each photo once: no {beyond[0]}; give randomflip or nothing")
    return [name for name in given if name == "randomflip"]


def photo_loaders(args, train_records, test_records, augmentations, processes):
    """Loaders of the training split and of the evaluation split (None without its records)."""
    cache = RamCache(processes.world) if args.cache == "ram" else None
    common = {"seed": args.seed, "num_workers": args.num_workers, "cache": cache}
    train = Loader(
        train_records,
        args.img_size,
        args.batch_size,
        augmentations,
        shuffle=True,
        share=Share(processes.rank, processes.world, args.accum_steps),
        **common,
    )
    if test_records is None:
        return train, None
    share = Share(processes.rank, processes.world)
    return train, Loader(test_records, args.img_size, args.batch_size, args.test_aug, share=share, **common)


def feature_loaders(args, model, normalization, train_records, test_records, augmentations, device):
    """The same of feature maps, from the cache in SAVE_DIR/features."""

    def maps(records, *views):
        folder = Path(args.save_dir) / "features"
        gpu = device == "gpu"
        return cached_features(
            model.backbone, normalization, records, args.img_size, folder, views, gpu, args.num_workers
        )

    model.backbone.eval()
    common = {"batch_size": args.batch_size, "seed": args.seed}
    views = ["plain", "mirrored"] if augmentations else ["plain"]
    share = Share(accum_steps=args.accum_steps)
    train = FeatureLoader(train_records, *maps(train_records, *views), shuffle=True, share=share, **common)
    if test_records is None:
        return train, None
    return train, FeatureLoader(test_records, *maps(test_records, "plain"), **common)
