"""From photographs to faces to crops: the pictures that both networks see.

    detector = make_detector("dlib-hog")
    crops = [crop.crop for crop in crop_photo("family.jpg", detector, CropSettings(policy="all"))]
    x = as_input(crops)                                 # (N, 200, 200, 1), float32, 0..1

Always: pixels counted from the upper left, boxes half-open, pictures RGB uint8 0..255. Read ``images``, ``boxes``,
``detectors``, ``crop`` in this order; ``orl`` and ``split`` are the data of the demo. OpenCV and dlib are imported when
they are first needed (``pip install 'minicnn[faces]'``).
"""

from detection.boxes import Box, Face
from detection.crop import CropSettings, FaceCrop, as_input, crop_face, crop_photo, faces_to_crops, standardise
from detection.detectors import DETECTORS, Detector, make_detector
from detection.images import list_images, read_image, to_grey, write_image
from detection.orl import OrlCrops, OrlFaces, load_orl, orl_crops
from detection.split import stratified_split

__all__ = [
    "DETECTORS",
    "Box",
    "CropSettings",
    "Detector",
    "Face",
    "FaceCrop",
    "OrlCrops",
    "OrlFaces",
    "as_input",
    "crop_face",
    "crop_photo",
    "faces_to_crops",
    "list_images",
    "load_orl",
    "make_detector",
    "orl_crops",
    "read_image",
    "standardise",
    "stratified_split",
    "to_grey",
    "write_image",
]
