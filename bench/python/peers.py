"""PyTorch and OpenVINO, called as their users call them.

Reads one JSON object a line: first the case, then `{"calls": n}` for each round, and answers each with one line.
"""

import json
import os
import shutil
import sys
import time

import numpy as np


def read(case, name, *shape):
    return np.fromfile(os.path.join(case["folder"], name), dtype="<f4").reshape(shape)


def pytorch(case):
    import torch

    torch.set_num_threads(1)
    dims, rows = case["dims"], case["rows"]
    x = torch.from_numpy(read(case, "x", rows, dims[0]))
    t = torch.from_numpy(read(case, "t", rows, dims[-1]))
    model = sequential(torch, case)
    name = f"torch {torch.__version__} eager, 1 thread, f32"
    if case["optimiser"] is None:
        model.eval()

        def call():
            with torch.inference_mode():
                return model(x)

        return call, lambda: call().numpy(), f"{name}, inference_mode"

    loss_of = torch.nn.MSELoss()
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case["optimiser"]]
    optimiser = make(model.parameters(), lr=case["rate"])

    def call():
        optimiser.zero_grad()
        loss = loss_of(model(x), t)
        loss.backward()
        optimiser.step()

    def answer():
        for _ in range(case["check_steps"]):
            call()
        with torch.no_grad():
            return model(x).numpy()

    return call, answer, f"{name}, zero_grad, MSELoss, backward, optim.{make.__name__}.step"


def sequential(torch, case):
    dims = case["dims"]
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[case["activation"]]
    flat = torch.from_numpy(read(case, "parameters", -1))
    layers, at = [], 0
    for i, o in zip(dims, dims[1:]):
        layer = torch.nn.Linear(i, o)
        with torch.no_grad():
            layer.weight.copy_(flat[at : at + i * o].reshape(o, i))
            layer.bias.copy_(flat[at + i * o : at + i * o + o])
        at += i * o + o
        layers += [layer, activation()]
    return torch.nn.Sequential(*layers[:-1])


def openvino(case):
    import openvino as ov

    dims, rows = case["dims"], case["rows"]
    x = read(case, "x", rows, dims[0])
    core = ov.Core()
    # The suffix says what format it is. From bytes in memory the weights would be used in place, after Python has let go of them.
    path = os.path.join(case["folder"], "net.onnx")
    shutil.copyfile(os.path.join(case["folder"], "onnx"), path)
    model = core.read_model(path)
    config = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"f32": "f32", "bf16": "bf16", "int8": "f32"}[case["precision"]],
    }
    compiled = core.compile_model(model, "CPU", config)
    request = compiled.create_infer_request()
    # The tensor uses the array's memory without keeping it alive: the answer below does.
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))
    used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    how = f"openvino {ov.__version__.split('-')[0]} infer() on a bound input, 1 thread, {used}"
    call = request.infer

    def answer():
        call()
        return request.get_output_tensor().data

    answer.holds = x
    return call, answer, how


def main():
    # Libraries that print must not get into the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(**fields):
        print(json.dumps(fields), file=replies, flush=True)

    try:
        case = json.loads(sys.stdin.readline())
        call, answer, how = {"pytorch": pytorch, "openvino": openvino}[sys.argv[1]](case)
        reply(how=how, answer=np.asarray(answer(), dtype=np.float64).ravel().tolist())
        for line in sys.stdin:
            calls = range(json.loads(line)["calls"])
            start = time.perf_counter()
            for _ in calls:
                call()
            reply(seconds=time.perf_counter() - start)
    except Exception as error:  # the other side shows it and stops
        reply(error=f"{sys.argv[1]}: {type(error).__name__}: {error}")


main()
