"""minicnn: convolutional networks from scratch, in NumPy and Numba, that give Keras's numbers.

    from minicnn import Conv2D, Dense, Flatten, MaxPooling2D, ReLU, Sequential, Softmax

    model = Sequential(
        [Conv2D(16, 3, padding="same"), ReLU(), MaxPooling2D(), Flatten(), Dense(10), Softmax()],
        input_shape=(28, 28, 1),
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=5)

The names below stand in the order in which the code is best read: from one operation to a trained network. They are
looked up when they are first used, so that ``import minicnn``, and with it the command line, starts at once.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "minicnn.shapes": ("Window",),
    "minicnn.errors": ("MinicnnError",),
    "minicnn.ops.conv2d": ("conv2d", "conv2d_backward"),
    "minicnn.layers": (
        *("Layer", "Context", "Input", "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"),
        *("ZeroPadding2D", "UpSampling2D", "MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D"),
        *("GlobalAveragePooling2D", "Flatten", "Reshape", "Permute", "ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh"),
        *("Softmax", "Activation", "Dropout", "BatchNormalization", "LayerNormalization", "UnitNormalization"),
        *("Add", "Multiply", "Concatenate"),
    ),
    "minicnn.losses": (
        *("CategoricalCrossentropy", "SparseCategoricalCrossentropy", "BinaryCrossentropy", "MeanSquaredError"),
        *("MeanAbsoluteError", "Huber", "TripletSemiHardLoss", "Loss"),
    ),
    "minicnn.metrics": ("Metric",),
    "minicnn.optimizers": ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW"),
    "minicnn.data": ("Batches", "PeopleBatches", "one_hot"),
    "minicnn.augmentation": ("Augment",),
    "minicnn.callbacks": (
        *("Callback", "EarlyStopping", "ModelCheckpoint", "CSVLogger", "LearningRateScheduler", "ReduceLROnPlateau"),
        *("TerminateOnNaN", "LambdaCallback"),
    ),
    "minicnn.model": ("Model",),
    "minicnn.sequential": ("Sequential",),
    "minicnn.saving": ("load_model",),
    "minicnn.models": ("face_cnn", "residual_cnn", "vgg_face", "load_vgg_face"),
    "minicnn.gradcheck": ("check_gradient", "check_layer_gradient", "check_model_gradient"),
    "minicnn.graddirections": ("check_directions",),
    "minicnn.checking": ("check_layer",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

#: Keras's other names for some of them
_ALIASES = {
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
}

__all__ = list(_MODULE)


def __getattr__(name: str) -> Any:
    """A public name, or a module of the package, which needs no import of its own: ``minicnn.layers.Conv2D``."""
    known = _ALIASES.get(name, name)
    if known in _MODULE:
        return getattr(import_module(_MODULE[known]), known)
    if name.isidentifier() and not name.startswith("_") and find_spec(f"minicnn.{name}"):
        return import_module(f"minicnn.{name}")
    from minicnn.errors import did_you_mean

    question = did_you_mean({"to_categorical": "one_hot"}.get(name, name), _MODULE)
    lead = f"module 'minicnn' has no attribute '{name}'. {question}".rstrip()
    raise AttributeError(f"{lead} Public names: {', '.join(_MODULE)}.", name=name)


def __dir__() -> list[str]:
    modules = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return [*__all__, *modules, *(name for name in globals() if name.startswith("__"))]
