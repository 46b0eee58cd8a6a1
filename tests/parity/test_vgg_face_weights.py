"""VGG-Face at full size, 580 MB: each published form loads in little more memory than its weights."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minicnn.models import load_vgg_face
from minicnn.models.outline import outline
from minicnn.models.vgg_face import vgg_face_table
from tests.unit.io import vgg_files
from tests.unit.io.vgg_files import Weights

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.tolerance import network_limit, rms
from reference_keras.twins import keras_twin

ROOT = Path(__file__).resolve().parents[2]
FORMS: dict[str, tuple[str, Callable[[Path, Weights], None]]] = {
    "MatConvNet": ("a.mat", lambda path, weights: vgg_files.write_mat(path, weights, packed=False)),
    "MatConvNet, packed": ("a.mat", lambda path, weights: vgg_files.write_mat(path, weights, nested=True, old=True)),
    "keras-vggface": ("a.h5", vgg_files.write_keras_vggface),
    "deepface": ("a.h5", vgg_files.write_deepface),
    "vgg_face_dag": ("a.safetensors", vgg_files.write_torch),
}
LOAD = """
import json, sys, zlib
from minicnn.models import load_vgg_face
def most():  # not ru_maxrss: that begins with what the parent process held
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = most()
weights = load_vgg_face(sys.argv[1]).model.weights
print(json.dumps([(most() - before) * 1024, {address: zlib.crc32(array) for address, array in weights.items()}]))
"""


@pytest.fixture(scope="module")
def weights() -> Weights:
    """As large as the real ones, and as small in value: He's spread, so that scores stay finite."""
    rng = np.random.default_rng(0)
    shapes = {address: array.shape for address, array in outline(vgg_face_table()).weights.items()}
    return {
        address: rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        for address, shape in shapes.items()
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak memory (VmHWM)")
@pytest.mark.parametrize("form", FORMS)
def test_peak_memory_at_full_size(form: str, tmp_path: Path, weights: Weights) -> None:
    """At most 1.3 times the weights. Measured as the growth of the process from after the imports."""
    name, write = FORMS[form]
    path = tmp_path / name
    try:
        write(path, weights)
        command = [sys.executable, "-c", LOAD, str(path)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        path.unlink(missing_ok=True)
    assert result.returncode == 0, result.stderr
    peak, checksums = json.loads(result.stdout)
    size = sum(array.nbytes for array in weights.values())
    print(f"{form}: {peak / size:.3f} times the {size / 1e6:.0f} MB of weights")
    assert checksums == {address: zlib.crc32(array) for address, array in weights.items()}
    assert size <= peak <= 1.3 * size


@pytest.mark.slow
def test_at_full_size_it_computes_what_keras_does(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "a.safetensors"
    try:
        vgg_files.write_torch(path, weights)
        model, preprocess_input = load_vgg_face(path, softmax=False)
    finally:
        path.unlink(missing_ok=True)
    pictures = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), np.uint8)
    x = preprocess_input(pictures)
    twin = keras_twin(model)
    there = np.asarray(twin(x, training=False))
    del twin
    here = model.predict(x)
    referee = model.astype("float64").predict(x.astype(np.float64))
    assert rms(here - referee) <= network_limit(rms(there - referee), rms(referee), large_tiles=False)
