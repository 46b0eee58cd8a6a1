"""A small network for faces: 40 people from 200 grey crops, trained in about a minute on two cores.

Two ideas keep it cheap. The first convolution takes strides of 4, so that the many channels come where few pixels are
left: a 200x200 crop of a face has been enlarged anyway. And every further convolution is 3x3 at stride 1 on at least
16 channels, where Winograd's algorithm needs a third of the multiplications (``ops/conv2d/winograd.py``).

    200x200x1 -> conv1 50x50x16 -> conv2 50x50x32 -> pool2 25x25x32 -> conv3 25x25x64 -> pool3 12x12x64
              -> conv4 12x12x96 -> pool4 6x6x96 -> conv5 6x6x128 -> flatten 4608 -> dropout -> fc6 40 people

Batch normalisation after each convolution (which then needs no bias) makes it learn from few pictures in few steps;
its moving statistics follow within some tens of steps (momentum 0.9, not Keras's 0.99), because a training has only
some hundred. Dropout before the only dense layer, which holds half of the weights, keeps it from learning the
training crops by heart.
"""

from __future__ import annotations

from minicnn.model import Model
from minicnn.models.table import Architecture, Row, build, classifier, conv, picture_shape, pool, relu
from minicnn.shapes import Shape

BLOCKS = (  # filters, kernel size, strides, pooled
    (16, 7, 4, False),
    (32, 3, 1, True),
    (64, 3, 1, True),
    (96, 3, 1, True),
    (128, 3, 1, False),
)


def face_cnn_table(
    input_shape: Shape = (200, 200, 1), classes: int = 40, *, softmax: bool = True, dropout: float = 0.3
) -> Architecture:
    """The rows of the small face network: conv1, bn1, relu1, conv2, bn2, relu2, pool2, ... flatten, drop6, fc6, prob.

    ``softmax=False`` ends at fc6, with logits, to train with a loss ``from_logits=True``.
    """
    rows: list[Row] = []
    for block, (filters, size, strides, pooled) in enumerate(BLOCKS, start=1):
        rows += [
            conv(f"conv{block}", filters, size, strides=strides, use_bias=False),
            Row("BatchNormalization", f"bn{block}", {"momentum": 0.9}),
            relu(f"relu{block}"),
        ]
        if pooled:
            rows.append(pool(f"pool{block}"))
    rows += [Row("Flatten", "flatten"), Row("Dropout", "drop6", {"rate": dropout})]
    rows += classifier("fc6", classes, softmax)
    return Architecture("face_cnn", picture_shape(input_shape, halvings=5), tuple(rows))


def face_cnn(
    input_shape: Shape = (200, 200, 1),
    classes: int = 40,
    *,
    softmax: bool = True,
    dropout: float = 0.3,
    dtype: str = "float32",
    seed: int = 0,
) -> Model:
    """The small face network in minicnn, for (N, *input_shape) crops of ``classes`` people; the output is (N, classes).

    Options: see ``face_cnn_table``. One picture takes 74 million floating-point operations forward (two per
    multiplication and addition; Winograd saves some). Raises ShapeError for pictures that five halvings would leave
    empty.
    """
    return build(face_cnn_table(input_shape, classes, softmax=softmax, dropout=dropout), dtype=dtype, seed=seed)
