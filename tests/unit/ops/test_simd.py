"""How wide vectors are: as wide as those of the processor that Numba compiles for, which may be told to be less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llvmlite import binding
from numba import config

from minicnn.ops import simd
from minicnn.ops.jit_cache import DiskCache

ROOT = Path(__file__).resolve().parents[3]
TOLD = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")


@pytest.mark.parametrize(
    ("features", "width"),
    [
        ("", 16),
        ("+sse2,+avx", 16),
        ("+avx,+avx2,+fma,-avx512f", 32),
        ("+avx2, +avx512f", 64),
        ("+avx2,+avx512f,-avx512f", 32),  # the last word counts
        ("-avx2,-avx512f", 16),
    ],
)
def test_vectors_are_as_wide_as_the_features_that_numba_was_told(
    features: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    assert simd._vector_bytes() == width


def test_vectors_are_narrow_without_avx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "ENABLE_AVX", 0)
    assert simd._vector_bytes() == 16


@pytest.mark.skipif(any(name in os.environ for name in TOLD), reason="Numba was told what to compile for")
def test_vectors_are_as_wide_as_the_registers_where_numba_was_told_nothing() -> None:
    features = binding.get_host_cpu_features() if config.ENABLE_AVX else {}
    assert simd._vector_bytes() == (64 if features.get("avx512f") else 32 if features.get("avx2") else 16)


def test_code_for_vectors_of_another_width_is_kept_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants made of it are written into the code, which the processor's name and features need not show."""
    cache, names = DiskCache(ROOT.joinpath, {}), set()
    codegen: Any = SimpleNamespace(magic_tuple=lambda: ("x86_64", "generic", ""))
    for width in (16, 32, 64, 16):
        monkeypatch.setattr(simd, "VECTOR_BYTES", width)
        names.add(cache._file_name("(float32[:],)", codegen))
    assert len(names) == 3


# Products, exponentials, masked loads, sums, and a walk along rows; x is of float32 and of float64.
PROGRAM = """
import json
import numpy as np
from minicnn.ops import simd
from minicnn.ops.activations import softmax
from minicnn.ops.conv2d import conv2d
from minicnn.ops.depthwise_conv2d import depthwise_conv2d

errors = []
for dtype in (np.float32, np.float64):
    rng = np.random.default_rng(0)
    x, kernel, each = (rng.standard_normal(s).astype(dtype) for s in ((2, 7, 9, 19), (3, 3, 19, 21), (3, 3, 19, 1)))
    wide = x.astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    for found, truth in (
        (conv2d(x, kernel, algorithm="direct")[0], np.einsum("nhwckl,klcf->nhwf", windows, kernel)),
        (depthwise_conv2d(x, each)[0], np.einsum("nhwckl,klc->nhwc", windows, each[..., 0])),
        (softmax(x)[0], powers / powers.sum(axis=-1, keepdims=True)),
    ):
        errors.append(float(np.abs(found - truth).max() / np.abs(truth).max() / np.finfo(dtype).eps))
print(json.dumps([simd.VECTOR_BYTES, errors]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("told", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_ENABLE_AVX": "0"}], ids=str)
def test_a_processor_without_wide_vectors_computes_the_same(told: dict[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in TOLD} | told
    environment |= {"PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    width, errors = json.loads(process.stdout)
    assert width == 16
    assert len(errors) == 6
    assert max(errors) < 8  # last places of the largest result
