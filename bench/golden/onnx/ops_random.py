"""Random operators with random attributes, for `ops.py`."""
import numpy as np
from onnx import TensorProto as T

UNARY = "Abs Ceil Floor Sign Cos Erf Exp HardSwish Mish Neg Relu Sigmoid Sin Softplus Softsign Tanh Identity Elu Selu Celu LeakyRelu HardSigmoid Gelu".split()
REDUCE = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceL2".split()


class Draw:
    """One case under construction."""

    def __init__(self, rng, n):
        self.rng, self.n, self.nodes, self.weights = rng, n, [], {}
        self.rank = int(rng.integers(1, 4))
        self.row = [int(d) for d in rng.integers(1, 6, self.rank)]
        self.opset = int(rng.choice([9, 10, 11, 12, 13, 14, 16, 17, 18, 20]))
        self.shape, self.at, self.ints = list(self.row), "x", False

    def pick(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def weight(self, value):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        return name

    def floats(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def ints64(self, values):
        return self.weight(np.asarray(values, dtype=np.int64))

    def add(self, op, *inputs, **attributes):
        out = f"v{len(self.nodes)}"
        self.nodes.append(self.n(op, ",".join([self.at, *inputs]), out, **attributes))
        self.at = out

    def axis(self):
        """A dimension behind the batch, from either end."""
        at = int(self.rng.integers(1, len(self.shape) + 1))
        return self.pick(at, at - len(self.shape) - 1)

    def step(self):
        kinds = [self.unary, self.arithmetic, self.softmax, self.reduce, self.transpose, self.reshape, self.flatten,
                 self.window, self.pool, self.matmul, self.gemm, self.slice, self.split, self.concat, self.cast,
                 self.clip, self.prelu, self.compare, self.where, self.gather, self.squeeze, self.norm, self.pad_power,
                 self.max_min, self.not_, self.around, self.recurrent, self.attention]
        kinds[int(self.rng.integers(len(kinds)))]()

    def unary(self):
        op = self.pick(*UNARY)
        attributes = {}
        if op in ["Elu", "LeakyRelu", "Celu", "HardSigmoid"] and self.pick(True, False):
            attributes["alpha"] = float(self.rng.uniform(0.05, 1.5))
        if op == "HardSigmoid" and self.pick(True, False):
            attributes["beta"] = float(self.rng.uniform(0, 1))
        if op == "Selu" and self.pick(True, False):
            attributes.update(alpha=1.3, gamma=0.9)
        if op == "Gelu":
            attributes["approximate"] = self.pick("none", "tanh")
        self.add(op, **attributes)

    def beside(self):
        """A constant that broadcasts to the value."""
        shape = [self.pick(1, d) for d in self.shape]
        cut = int(self.rng.integers(0, len(shape) + 1))
        return shape[cut:]

    def arithmetic(self):
        op = self.pick("Add", "Sub", "Mul", "Div")
        w = self.weight(np.where((v := self.floats(*self.beside())) >= 0, v + 0.5, v - 0.5).astype(np.float32))
        if op != "Div" and self.pick(True, False):
            out = f"v{len(self.nodes)}"
            self.nodes.append(self.n(op, f"{w},{self.at}", out))
            self.at = out
            return
        self.add(op, w)

    def max_min(self):
        self.add(self.pick("Max", "Min", "Sum"), self.weight(self.floats(*self.beside())))

    def pad_power(self):
        self.add("Pow", self.weight(np.float32(self.pick(1.0, 2.0, 3.0))))

    def softmax(self):
        attributes = {"axis": self.axis() if self.opset >= 11 else int(self.rng.integers(1, len(self.shape) + 1))} if self.pick(True, True, False) else {}
        self.add(self.pick("Softmax", "LogSoftmax"), **attributes)

    def reduce(self):
        op = self.pick(*REDUCE)
        axes = sorted({self.axis() % (len(self.shape) + 1) for _ in range(2)})
        keep = int(self.pick(0, 1))
        as_input = self.opset >= 18 or (op == "ReduceSum" and self.opset >= 13)
        inputs, attributes = ([self.ints64(axes)], {}) if as_input else ([], {"axes": axes})
        if keep == 0 or self.pick(True, False):
            attributes["keepdims"] = keep
        self.add(op, *inputs, **attributes)
        self.shape = [1 if i + 1 in axes else d for i, d in enumerate(self.shape) if keep or i + 1 not in axes]

    def transpose(self):
        perm = [int(i) + 1 for i in self.rng.permutation(len(self.shape))]
        self.add("Transpose", perm=[0, *perm])
        self.shape = [self.shape[p - 1] for p in perm]

    def reshape(self):
        total = int(np.prod(self.shape))
        to = [total]
        for d in (2, 3, 4, 5):
            if to[-1] % d == 0 and self.pick(True, False) and len(to) < 3:
                to = [*to[:-1], d, to[-1] // d]
        named = [0, *to] if self.pick(True, False) else [-1, *to]
        if named[0] == 0 and self.pick(True, False):
            named[-1] = -1
        self.add("Reshape", self.ints64(named))
        self.shape = to

    def flatten(self):
        self.add("Flatten", axis=1)
        self.shape = [int(np.prod(self.shape))]

    def window(self):
        if len(self.shape) not in (2, 3):
            return self.unary()
        spatial = len(self.shape) - 1
        group = self.pick(1, self.shape[0])
        out = group * int(self.rng.integers(1, 3))
        kernel = [int(self.rng.integers(1, 4)) for _ in range(spatial)]
        w = [self.weight(self.floats(out, self.shape[0] // group, *kernel))]
        if self.pick(True, False):
            w.append(self.weight(self.floats(out)))
        attributes = {"group": group, "strides": [int(self.rng.integers(1, 3)) for _ in range(spatial)]}
        if self.pick(True, False):
            attributes["dilations"] = [int(self.rng.integers(1, 3)) for _ in range(spatial)]
        kind = self.pick("pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
        if kind == "pads":
            attributes["pads"] = [int(p) for p in self.rng.integers(0, 3, 2 * spatial)]
        elif kind != "none":
            attributes["auto_pad"] = kind
        self.add("Conv", *w, **attributes)
        self.shape = None

    def pool(self):
        if len(self.shape) not in (2, 3):
            return self.unary()
        spatial = len(self.shape) - 1
        op = self.pick("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
        if op.startswith("Global"):
            self.add(op)
            self.shape = [self.shape[0], *[1] * spatial]
            return None
        attributes = {"kernel_shape": [int(self.rng.integers(1, 4)) for _ in range(spatial)]}
        if self.pick(True, False):
            attributes["strides"] = [int(self.rng.integers(1, 4)) for _ in range(spatial)]
        kind = self.pick("pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID")
        if kind == "pads":
            attributes["pads"] = [int(self.rng.integers(0, k)) for k in attributes["kernel_shape"] * 2]
        elif kind != "none":
            attributes["auto_pad"] = kind
        if self.opset >= 10 and self.pick(True, False, False):
            attributes["ceil_mode"] = 1
        if op == "AveragePool" and self.pick(True, False):
            attributes["count_include_pad"] = 1
        self.add(op, **attributes)
        self.shape = None

    def matmul(self):
        k = self.shape[-1]
        if len(self.shape) == 1 and self.pick(True, False):
            self.add("MatMul", self.weight(self.floats(k, 3)))
            self.shape = [3]
            return
        self.add("MatMul", self.weight(self.floats(k, 2)))
        self.shape = [*self.shape[:-1], 2]

    def gemm(self):
        if len(self.shape) != 1:
            return self.unary()
        k, trans = self.shape[0], int(self.pick(0, 1))
        inputs = [self.weight(self.floats(3, k) if trans else self.floats(k, 3))]
        if self.pick(True, False):
            inputs.append(self.weight(self.floats(*self.pick((3,), (1, 3), (1,), (1, 1)))))
        attributes = {"transB": trans}
        if self.pick(True, False):
            attributes.update(alpha=0.7, beta=1.3)
        self.add("Gemm", *inputs, **attributes)
        self.shape = [3]

    def slice(self):
        at = int(self.rng.integers(len(self.shape)))
        size = self.shape[at]
        start, step = int(self.rng.integers(-size, size)), int(self.pick(1, 1, 2, -1))
        end = int(self.pick(-size - 1, size, int(self.rng.integers(-size, size + 1)), 2**40))
        taken = len(range(size)[slice(start, None if (step < 0 and end < -size) else end, step)])
        if taken == 0 or self.opset < 10:
            return self.unary()
        self.add("Slice", self.ints64([start]), self.ints64([end]), self.ints64([self.pick(at + 1, at - len(self.shape))]), self.ints64([step]))
        self.shape[at] = taken
        return None

    def split(self):
        at = int(self.rng.integers(len(self.shape)))
        size = self.shape[at]
        if size < 2:
            return self.unary()
        first = int(self.rng.integers(1, size))
        inputs, attributes = ([self.ints64([first, size - first])], {}) if self.opset >= 13 else ([], {"split": [first, size - first]})
        a, b = f"v{len(self.nodes)}a", f"v{len(self.nodes)}b"
        self.nodes.append(self.n("Split", ",".join([self.at, *inputs]), f"{a},{b}", axis=at + 1, **attributes))
        self.at = self.pick(a, b)
        self.shape[at] = first if self.at == a else size - first
        return None

    def concat(self):
        at = int(self.rng.integers(len(self.shape)))
        self.add("Concat", self.at, axis=self.pick(at + 1, at - len(self.shape)))
        self.shape[at] *= 2

    def cast(self):
        self.add("Cast", to=self.pick(T.INT32, T.INT64))
        if self.pick(True, False):
            self.add("Div", self.weight(np.asarray(self.pick(2, 3, -2), dtype=np.int64 if self.nodes[-1].attribute[0].i == T.INT64 else np.int32)))
        self.add("Cast", to=T.FLOAT)

    def clip(self):
        lo, hi = sorted(float(v) for v in self.rng.normal(size=2))
        if self.opset < 11:
            self.add("Clip", min=lo, max=hi)
            return
        self.add("Clip", self.pick(self.weight(np.float32(lo)), ""), self.weight(np.float32(hi)))

    def prelu(self):
        self.add("PRelu", self.weight(np.abs(self.floats(*self.beside()))))

    def compare(self):
        op = self.pick("Greater", "Less", *(["GreaterOrEqual", "LessOrEqual"] if self.opset >= 12 else []))
        self.add(op, self.weight(self.floats(*self.beside())))
        if self.pick(True, False):
            self.add("Not")
        self.add("Cast", to=T.FLOAT)

    def not_(self):
        self.add("Cast", to=T.BOOL)
        self.add("Cast", to=T.FLOAT)

    def where(self):
        before = self.at
        self.add("Greater", self.weight(np.float32(0)))
        condition, self.at = self.at, before
        out = f"v{len(self.nodes)}"
        other = self.weight(self.floats(*self.beside()))
        pair = self.pick(f"{before},{other}", f"{other},{before}")
        self.nodes.append(self.n("Where", f"{condition},{pair}", out))
        self.at = out

    def gather(self):
        at = int(self.rng.integers(len(self.shape)))
        size = self.shape[at]
        index = self.pick(int(self.rng.integers(-size, size)), [int(i) for i in self.rng.integers(-size, size, 2)])
        self.add("Gather", self.weight(np.asarray(index, dtype=np.int64)), axis=self.pick(at + 1, at - len(self.shape)))
        self.shape = [*self.shape[:at], *([] if isinstance(index, int) else [2]), *self.shape[at + 1 :]]
        if not self.shape:
            self.shape = None

    def squeeze(self):
        at = int(self.rng.integers(1, len(self.shape) + 2))
        inputs, attributes = ([self.ints64([at])], {}) if self.opset >= 13 else ([], {"axes": [at]})
        self.add("Unsqueeze", *inputs, **attributes)
        self.shape.insert(at - 1, 1)
        if self.pick(True, False):
            self.add("Squeeze", *inputs, **attributes)
            self.shape.pop(at - 1)

    def norm(self):
        kind = self.pick("LayerNormalization", "BatchNormalization")
        if kind == "LayerNormalization":
            if self.opset < 17:
                return self.unary()
            at = int(self.rng.integers(len(self.shape)))
            shape = self.shape[at:]
            inputs = [self.weight(self.floats(*shape))] + ([self.weight(self.floats(*shape))] if self.pick(True, False) else [])
            self.add(kind, *inputs, axis=self.pick(at + 1, at - len(self.shape)))
            return None
        c = self.shape[0]
        w = [self.floats(c), self.floats(c), self.floats(c), np.abs(self.floats(c)) + 0.1]
        self.add(kind, *[self.weight(v) for v in w], epsilon=1e-3)
        return None


    def around(self):
        """The batch moved away, something done, and the batch moved back."""
        rank = len(self.shape) + 1
        perm = [int(i) for i in self.rng.permutation(rank)]
        self.add("Transpose", perm=perm)
        dims = [[None, *self.shape][p] for p in perm]
        free = [i for i, d in enumerate(dims) if d is not None]
        at = int(self.rng.choice(free))
        kind = self.pick("Relu", "Add", "Softmax", "MatMul", "ReduceMean", "Gather")
        if kind == "Add":
            self.add("Add", self.weight(self.floats(*[1 if d is None else self.pick(1, d) for d in dims])))
        elif kind == "Softmax" and self.opset >= 13:
            self.add("Softmax", axis=at)
        elif kind == "MatMul" and dims[-1] is not None:
            self.add("MatMul", self.weight(self.floats(dims[-1], 3)))
            dims[-1] = 3
        elif kind == "ReduceMean" and self.opset < 18:
            self.add("ReduceMean", axes=[at], keepdims=1)
            dims[at] = 1
        elif kind == "Gather":
            self.add("Gather", self.ints64([0, -1]), axis=at)
            dims[at] = 2
        else:
            self.add("Tanh")
        back = [perm.index(i) for i in range(rank)]
        self.add("Transpose", perm=back)
        self.shape = [dims[back[i]] for i in range(1, rank)]

    def recurrent(self):
        if len(self.shape) != 2 or self.opset < 14:
            return self.unary()
        (time, width), hidden = self.shape, 3
        op, direction = self.pick("LSTM", "GRU", "RNN"), self.pick("forward", "reverse", "bidirectional")
        gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 2 if direction == "bidirectional" else 1
        inputs = [self.weight(self.floats(ways, gates * hidden, width)), self.weight(self.floats(ways, gates * hidden, hidden))]
        if self.pick(True, False):
            inputs.append(self.weight(self.floats(ways, 2 * gates * hidden)))
        attributes = {"hidden_size": hidden}
        if direction != "forward" or self.pick(True, False):
            attributes["direction"] = direction
        if op == "GRU":
            attributes["linear_before_reset"] = self.pick(1, 1, 0)
        self.add("Transpose", perm=[1, 0, 2])
        self.add(op, *inputs, **attributes)
        self.add("Transpose", perm=[2, 0, 1, 3])
        self.add("Reshape", self.ints64([0, time, ways * hidden]))
        self.shape = [time, ways * hidden]
        return None

    def attention(self):
        """Products of values that both depend on the input."""
        if len(self.shape) != 2:
            return self.unary()
        x, (time, width) = self.at, self.shape
        self.add("Transpose", perm=[0, 2, 1])
        turned = self.at
        out = f"v{len(self.nodes)}"
        first = self.pick(True, False)
        self.nodes.append(self.n("MatMul", f"{x},{turned}" if first else f"{turned},{x}", out))
        self.at, self.shape = out, [time, time] if first else [width, width]
        return None


def integers(rng, model, n):
    """Whole numbers in, arithmetic on them, and out as floats."""
    nodes, weights, at = [], {}, "x"
    for i in range(int(rng.integers(1, 4))):
        op = str(rng.choice(["Add", "Sub", "Mul", "Div", "Neg", "Abs", "Max"]))
        weights[f"w{i}"] = np.asarray(rng.choice([-3, -2, 2, 3, 7], size=int(rng.integers(1, 3)) * 0 + 3), dtype=np.int64)
        if rng.random() < 0.5:
            weights[f"w{i}"] = np.int64(weights[f"w{i}"][0])
        inputs = at if op in ("Neg", "Abs") else f"{at},w{i}"
        nodes.append(n(op, inputs, f"v{i}"))
        at = f"v{i}"
    nodes.append(n("Cast", at, "y", to=T.FLOAT))
    used = {name for node in nodes for name in node.input}
    weights = {k: v for k, v in weights.items() if k in used}
    return nodes, weights


def random_cases(count, rng, model, n):
    for i in range(count):
        if i % 20 == 0:
            nodes, weights = integers(rng, model, n)
            x = rng.integers(-9, 10, (4, 3)).astype(np.int64)
            yield f"{i:05}-int-{'-'.join(node.op_type for node in nodes)}", model(nodes, (3,), weights, 14, T.INT64), x
            continue
        draw = Draw(rng, n)
        for _ in range(int(rng.integers(1, 5))):
            draw.step()
            if not draw.shape or len(draw.shape) > 3:
                break
        draw.nodes[-1].output[0] = "y" if draw.nodes[-1].output[0] == draw.at else draw.nodes[-1].output[0]
        if draw.at.startswith("v") and "y" not in draw.nodes[-1].output:
            draw.nodes.append(n("Identity", draw.at, "y"))
        x = (rng.standard_normal((4, *draw.row)) * 2).astype(np.float32)
        x[rng.random(x.shape) < 0.1] = 0
        yield f"{i:05}-{'-'.join(node.op_type for node in draw.nodes)}"[:120], model(draw.nodes, draw.row, draw.weights, draw.opset, rows="batch" if rng.random() < 0.7 else 4), x
