"""The parity lab: everything minicnn has against the Keras that is installed, in every option.

    layers          every layer over a grid of options, forward and backward, in float64 and in float32
    numbers         losses, metrics, schedules, initialisers
    trajectories    100 steps of training with every optimiser, in float64
    defaults        what the installed version assumes when nothing is said
    run             all of it

Nothing about Keras is written down here: its classes are called and its signatures read. So a version that behaves
differently shows up as a row that is not ok, by name.
"""

from reference_keras.lab.defaults import compare_defaults
from reference_keras.lab.layers import compare_every_layer
from reference_keras.lab.numbers import compare_initializers, compare_losses, compare_metrics, compare_schedules
from reference_keras.lab.reports import LabReport, Row
from reference_keras.lab.run import FAMILIES, run_lab
from reference_keras.lab.trajectories import compare_trajectories

__all__ = [
    "FAMILIES",
    "LabReport",
    "Row",
    "compare_defaults",
    "compare_every_layer",
    "compare_initializers",
    "compare_losses",
    "compare_metrics",
    "compare_schedules",
    "compare_trajectories",
    "run_lab",
]
