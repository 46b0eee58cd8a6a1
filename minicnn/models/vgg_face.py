"""VGG-Face: the 16-layer network of Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015).

Thirteen 3x3 convolutions in five blocks; each block ends by halving the picture and (but for the last) doubles the
filters, so that every convolution beyond the first costs about the same. Three dense layers follow and hold most of
the weights: at 224x224 fc6 alone has 103 of the 145 million parameters. One picture takes 31 GFLOP.

    224x224x3 -> 112x112x64 -> 56x56x128 -> 28x28x256 -> 14x14x512 -> 7x7x512 -> 4096 -> 4096 -> 2622 people
    200x200x1 -> 100x100x64 -> 50x50x128 -> 25x25x256 -> 12x12x512 -> 6x6x512 -> ...        (odd sizes round down)
"""

from __future__ import annotations

from minicnn.model import Model
from minicnn.models.table import Architecture, Row, build, classifier, conv, dense, picture_shape, pool, relu
from minicnn.shapes import Shape

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # (convolutions, filters of each)


def vgg_face_table(
    input_shape: Shape = (224, 224, 3),
    classes: int = 2622,
    *,
    include_top: bool = True,
    softmax: bool = True,
    dropout: float = 0.5,
) -> Architecture:
    """The rows of VGG-Face, named as its authors do: conv1_1, relu1_1, ... pool5, flatten, fc6, ... fc8, prob.

    ``include_top=False`` ends at pool5: a (R//32, C//32, 512) description of the picture. ``softmax=False`` ends at
    fc8, with logits, to train with a loss ``from_logits=True``.
    """
    rows: list[Row] = []
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            rows += [conv(f"conv{block}_{number}", filters), relu(f"relu{block}_{number}")]
        rows.append(pool(f"pool{block}"))
    if include_top:
        rows.append(Row("Flatten", "flatten"))
        for number in (6, 7):
            rows += [
                dense(f"fc{number}", 4096),
                relu(f"relu{number}"),
                Row("Dropout", f"drop{number}", {"rate": dropout}),
            ]
        rows += classifier("fc8", classes, softmax)
    return Architecture("vgg_face", picture_shape(input_shape, halvings=5), tuple(rows))


def vgg_face(
    input_shape: Shape = (224, 224, 3),
    classes: int = 2622,
    *,
    include_top: bool = True,
    softmax: bool = True,
    dropout: float = 0.5,
    dtype: str = "float32",
    seed: int = 0,
) -> Model:
    """VGG-Face in minicnn: ``vgg_face((200, 200, 1), classes=40)`` for grey crops of 40 people.

    Inputs are (N, *input_shape); the output (N, classes), or pool5's (N, R//32, C//32, 512) without top. Options: see
    ``vgg_face_table``. Raises ShapeError for pictures that five halvings would leave empty.
    """
    table = vgg_face_table(input_shape, classes, include_top=include_top, softmax=softmax, dropout=dropout)
    return build(table, dtype=dtype, seed=seed)
