"""Architectures: networks written down as tables, and the functions that build them.

Read ``table`` first, then ``face_cnn`` (small, trains in a minute), ``residual_cnn`` (as small, but branching and
deeper), ``vgg_face`` (the classic, 145 million weights) and ``pretrained`` (its published weights).
"""

from minicnn.models.face_cnn import face_cnn, face_cnn_table
from minicnn.models.pretrained import Preprocessing, load_vgg_face
from minicnn.models.residual_cnn import residual_cnn, residual_cnn_table
from minicnn.models.table import Architecture, Row, build
from minicnn.models.vgg_face import vgg_face, vgg_face_table

__all__ = [
    "Architecture",
    "Preprocessing",
    "Row",
    "build",
    "face_cnn",
    "face_cnn_table",
    "load_vgg_face",
    "residual_cnn",
    "residual_cnn_table",
    "vgg_face",
    "vgg_face_table",
]
