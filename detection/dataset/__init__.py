"""From photographs of people to a dataset that a network can learn from.

    build_dataset("photos", "faces", partial(make_detector, "dlib-hog"), BuildSettings(), processes=2)
    check_dataset("faces").problems                 # duplicates, one photograph under two names, ...
    split_dataset("faces", test=0.25, seed=1)
    train = load_dataset("faces", "train")          # train.crops, train.labels, train.people

Read ``settings``, ``sources``, ``work``, ``journal``, ``pool``, ``changes``, ``build`` in this order to follow a
photograph; ``hashes``, ``similar``, ``check`` and ``split`` for what happens to its crop.
"""

from detection.dataset.build import Built, build_dataset
from detection.dataset.check import Check, check_dataset
from detection.dataset.load import FaceDataset, load_dataset
from detection.dataset.ready_made import build_lfw, build_orl
from detection.dataset.settings import BuildSettings
from detection.dataset.sheet import write_sheet
from detection.dataset.split import Split, split_dataset

__all__ = [
    "BuildSettings",
    "Built",
    "Check",
    "FaceDataset",
    "Split",
    "build_dataset",
    "build_lfw",
    "build_orl",
    "check_dataset",
    "load_dataset",
    "split_dataset",
    "write_sheet",
]
