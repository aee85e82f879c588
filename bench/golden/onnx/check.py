"""Checks a model that Mayfly wrote with ONNX's own checker, runs it with ONNX Runtime, compares with the same formulas in NumPy, and keeps inputs and
outputs beside it.

usage: python check.py FOLDER        (which has written.onnx, made by `MAYFLY_BLESS=1 cargo nextest run -p mayfly-format onnx`)
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime as ort

folder = sys.argv[1]
path = os.path.join(folder, "written.onnx")
onnx.checker.check_model(path, full_check=True)
model = onnx.load(path)
assert onnx.helper.printable_graph(model.graph)

x = np.random.default_rng(1).standard_normal((4, 1, 6)).astype(np.float32)
y, scaled = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})

weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
conv = np.stack([np.einsum("bi,oi->bo", x[:, 0, p:p + 3], weights["conv.w"][:, 0]) for p in range(4)], axis=2) + weights["conv.b"][:, None]
want = np.maximum(conv, 0).reshape(4, 8) @ weights["out.w"].T + weights["out.b"]
want_scaled = (want / 2 - np.array([0, 1])) * np.array([2, 4])
assert np.abs(y - want).max() < 1e-5 and np.abs(scaled - want_scaled).max() < 1e-5
np.savez(os.path.join(folder, "written.npz"), input_0=x, output_0=y, output_1=scaled)
print("written.onnx: passed")
