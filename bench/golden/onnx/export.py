"""Runs the networks that mayfly exported in ONNX Runtime and keeps inputs and outputs beside them.

    MAYFLY_GOLDEN=write cargo test -p mayfly-nn --test onnx_export
    python bench/golden/onnx/export.py

Needs onnx, onnxruntime and numpy. Each model is checked by ONNX's own checker too.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "crates/mayfly-nn/tests/golden/onnx"
ROWS = 5
EMBEDDING_ROWS = 7  # as in the tests' networks

for path in sorted(FOLDER.glob("*.onnx")):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    shape = [ROWS, *x.shape[1:]]
    rng = np.random.default_rng(11)
    if path.stem.startswith("embedding"):
        values = rng.integers(0, EMBEDDING_ROWS, shape).astype(np.float32)
    else:
        values = rng.uniform(-3, 3, shape).astype(np.float32)
    (y,) = session.run(None, {x.name: values})
    np.savez(path.with_suffix(".npz"), input_0=values, output_0=y)
    print(f"{path.stem}: {values.shape} -> {y.shape}")
