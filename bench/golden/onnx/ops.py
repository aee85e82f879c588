"""Single operators and small chains of them, over attributes, shapes and operator sets, with what ONNX Runtime answers.

    python bench/golden/onnx/ops.py                    writes tests/golden/onnx_ops of mayfly-nn
    python bench/golden/onnx/ops.py FOLDER COUNT SEED  writes COUNT random cases to FOLDER

Needs onnx, onnxruntime and numpy. The test `operators_answer_as_onnx_runtime` reads the first, and the second where MAYFLY_ONNX_CASES names the folder.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "crates/mayfly-nn/tests/golden/onnx_ops"
ROWS = 4
onnxruntime.set_default_logger_severity(4)


def model(nodes, row, weights=(), opset=17, elem=T.FLOAT, out=T.FLOAT, ml=False, rows="batch"):
    """Nodes from `x` to `y`."""
    graph = h.make_graph(
        nodes,
        "g",
        [h.make_tensor_value_info("x", elem, [rows, *row])],
        [h.make_tensor_value_info("y", out, None)],
        [nh.from_array(np.asarray(v), k) for k, v in dict(weights).items()],
    )
    sets = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", 1)] if ml else [])
    return h.make_model(graph, opset_imports=sets, ir_version=8)


def write(folder, name, proto, x):
    """Saves the model with its input and ONNX Runtime's output; says why not."""
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        y = session.run(None, {"x": x})[0]
    except Exception as e:  # not every combination is a model
        return str(e).splitlines()[0][:90]
    if not isinstance(y, np.ndarray) or y.ndim == 0 or y.shape[0] != ROWS or not np.isfinite(y.astype(np.float64)).all():
        return "not one row of numbers a row"
    onnx.save(proto, folder / f"{name}.onnx")
    if x.dtype != np.float32:
        x = x.astype(np.int64)
    if y.dtype != np.float32:
        y = y.astype(np.float32)
    np.savez_compressed(folder / f"{name}.npz", input_0=x, output_0=y)
    return None


def n(op, inputs="x", output="y", domain="", **attributes):
    return h.make_node(op, inputs.split(","), output.split(","), domain=domain, **attributes)


def fixed(rng):
    """The cases that stay in the tests."""
    f = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    image = (2, 5, 6)
    cases = {}
    for kind in ["SAME_UPPER", "SAME_LOWER", "VALID"]:
        w = {"w": f(3, 2, 2, 4), "b": f(3)}
        cases[f"conv-{kind.lower()}"] = (model([n("Conv", "x,w,b", auto_pad=kind, strides=[1, 1])], image, w), image)
        cases[f"conv-strided-{kind.lower()}"] = (model([n("Conv", "x,w,b", auto_pad=kind, strides=[2, 3])], image, w), image)
        cases[f"max-pool-{kind.lower()}"] = (
            model([n("MaxPool", auto_pad=kind, kernel_shape=[2, 4], strides=[2, 1])], image),
            image,
        )
        cases[f"average-pool-{kind.lower()}"] = (
            model([n("AveragePool", auto_pad=kind, kernel_shape=[2, 4], strides=[2, 1])], image),
            image,
        )
    cases["leaky-relu-default"] = (model([n("LeakyRelu")], (6,)), (6,))
    cases["leaky-relu-0.3"] = (model([n("LeakyRelu", alpha=0.3)], (6,)), (6,))
    cases["elu-default"] = (model([n("Elu")], (6,)), (6,))
    cases["hard-sigmoid-default"] = (model([n("HardSigmoid")], (6,)), (6,))
    cases["selu-default"] = (model([n("Selu")], (6,)), (6,))
    for op in ["Softmax", "LogSoftmax"]:
        for opset in [9, 11, 12, 13]:
            for axis in [None, 1, 2, -1]:
                attributes = {} if axis is None else {"axis": axis}
                if axis == -1 and opset < 11:
                    continue
                name = f"{op.lower()}-{opset}-{'default' if axis is None else axis}"
                cases[name] = (model([n(op, **attributes)], (3, 4), opset=opset), (3, 4))
    cases["softsign-far-out"] = (model([n("Mul", "x,far", "f"), n("Softsign", "f")], (6,), {"far": np.float32(1e3)}), (6,))
    for op in ["Floor", "Ceil", "Sign"]:
        cases[op.lower()] = (model([n(op)], (6,)), (6,))
    cut = [n("Cast", to=T.INT64, output="i"), n("Cast", "i", to=T.FLOAT)]
    cases["cast-truncates"] = (model(cut, (5,)), (5,))
    cases["cast-to-int32-and-add"] = (
        model([n("Cast", to=T.INT32, output="i"), n("Add", "i,one", "j"), n("Cast", "j", to=T.FLOAT)], (5,), {"one": np.int32(1)}),
        (5,),
    )
    cases["cast-divides-whole"] = (
        model([n("Cast", to=T.INT64, output="i"), n("Div", "i,three", "j"), n("Cast", "j", to=T.FLOAT)], (5,), {"three": np.int64(3)}),
        (5,),
    )
    cases["cast-to-bool"] = (
        model([n("Relu", output="r"), n("Cast", "r", "b", to=T.BOOL), n("Cast", "b", to=T.FLOAT)], (5,)),
        (5,),
    )
    for norm in ["L1", "L2", "MAX"]:
        cases[f"normalizer-{norm.lower()}"] = (
            model([n("Normalizer", domain="ai.onnx.ml", norm=norm)], (3,), ml=True),
            (3,),
        )
    return cases


def main():
    rng = np.random.default_rng(1)
    if len(sys.argv) > 1:
        from ops_random import random_cases

        folder, count, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        folder.mkdir(parents=True, exist_ok=True)
        reasons = {}
        for name, proto, x in random_cases(count, np.random.default_rng(seed), model, n):
            reason = write(folder, name, proto, x)
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
        print(sorted(reasons.items(), key=lambda r: -r[1])[:15])
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (proto, row) in fixed(rng).items():
        x = (rng.standard_normal((ROWS, *row)) * 3).astype(np.float32)
        if name.startswith("normalizer"):
            x[1] = 0
            x[2, 0] = 0
            x[2, 1:] = -1
        reason = write(FOLDER, name, proto, x)
        if reason:
            print(name, reason)


if __name__ == "__main__":
    main()
