"""A small residual network for faces, of the size of ``face_cnn``, and deeper: nine convolutions on the way through.

A layer that is put on top of others can make them worse: to do no harm it must learn to pass on what it gets, which
convolutions do not do by nature. Here the passing on is built in. A block computes what is to be *added* to its input,

    y = relu(x + bn(conv(relu(bn(conv(x))))))

and the gradient of a sum goes to both summands unchanged: it reaches the first layers however many blocks there are.
Where a block widens the channels, its input is brought to that shape by a 1x1 convolution. Pictures are halved between
the blocks, by pooling: with strides of 2, as in the paper, convolutions could not be Winograd's.

    200x200x1 -> conv1 50x50x16 -> block1 50x50x16 -> pool1 25x25 -> block2 25x25x32 -> pool2 12x12 -> block3 12x12x64
              -> pool3 6x6 -> block4 6x6x128 -> mean of each channel 128 -> dropout -> fc 40 people

The mean over all positions in the place of a large dense layer leaves few weights, 5160 at the end, and takes pictures
of any size. Batch normalisation, its momentum and the first stride of 4 are as in ``face_cnn``.
Paper: He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image Recognition".
"""

from __future__ import annotations

from minicnn.model import Model
from minicnn.models.table import Architecture, Row, build, classifier, conv, picture_shape, pool, relu
from minicnn.shapes import Shape

FILTERS = (16, 32, 64, 128)  # of the blocks


def residual_cnn_table(
    input_shape: Shape = (200, 200, 1), classes: int = 40, *, softmax: bool = True, dropout: float = 0.3
) -> Architecture:
    """The rows of the residual network: conv1, bn1, relu1, block1_conv1, ... pool1, block2_conv1, ... fc, prob.

    ``softmax=False`` ends at fc, with logits, to train with a loss ``from_logits=True``.
    """
    rows = [conv("conv1", FILTERS[0], 7, strides=4, use_bias=False), norm("bn1"), relu("relu1")]
    for number, filters in enumerate(FILTERS, start=1):
        if number > 1:
            rows.append(pool(f"pool{number - 1}"))
        rows += block(f"block{number}", rows[-1].name, filters, widens=number > 1)
    rows += [Row("GlobalAveragePooling2D", "gap"), Row("Dropout", "drop", {"rate": dropout})]
    rows += classifier("fc", classes, softmax)
    return Architecture("residual_cnn", picture_shape(input_shape, halvings=5), tuple(rows))


def norm(name: str) -> Row:
    """Batch normalisation whose statistics follow within some tens of steps, as in ``face_cnn``."""
    return Row("BatchNormalization", name, {"momentum": 0.9})


def block(name: str, source: str, filters: int, *, widens: bool) -> list[Row]:
    """The rows of one block, which reads ``source`` and ends in ``{name}_relu2``.

    ``widens`` says that ``source`` has fewer channels than ``filters``, and takes a 1x1 convolution to the sum.
    """
    rows = [
        conv(f"{name}_conv1", filters, use_bias=False)._replace(reads=(source,)),
        norm(f"{name}_bn1"),
        relu(f"{name}_relu1"),
        conv(f"{name}_conv2", filters, use_bias=False),
        norm(f"{name}_bn2"),
    ]
    summands = (source, f"{name}_bn2")
    if widens:
        short = conv(f"{name}_conv0", filters, 1, use_bias=False)
        rows += [short._replace(reads=(source,)), norm(f"{name}_bn0")]
        summands = (f"{name}_bn0", f"{name}_bn2")
    return [*rows, Row("Add", f"{name}_add", reads=summands), relu(f"{name}_relu2")]


def residual_cnn(
    input_shape: Shape = (200, 200, 1),
    classes: int = 40,
    *,
    softmax: bool = True,
    dropout: float = 0.3,
    dtype: str = "float32",
    seed: int = 0,
) -> Model:
    """The residual network in minicnn, for (N, *input_shape) crops of ``classes`` people; the output is (N, classes).

    Options: see ``residual_cnn_table``. Raises ShapeError for pictures smaller than 32x32.
    """
    return build(residual_cnn_table(input_shape, classes, softmax=softmax, dropout=dropout), dtype=dtype, seed=seed)
