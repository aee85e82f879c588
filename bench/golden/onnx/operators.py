"""Prints, for the networks in a folder, the operators with their attributes and in which networks they occur, as a Markdown table.

usage: python operators.py FOLDER
"""

import collections
import pathlib
import sys

import onnx

seen = collections.defaultdict(lambda: (collections.defaultdict(set), set(), set()))
for path in sorted(p for p in pathlib.Path(sys.argv[1]).glob("*.onnx") if p.stem != "written"):
    model = onnx.load(path)
    for node in model.graph.node:
        attributes, nets, arities = seen[(node.domain, node.op_type)]
        nets.add(path.stem)
        arities.add("".join("x" if name else "-" for name in node.input) + ">" + str(len(node.output)))
        for a in node.attribute:
            value = onnx.helper.get_attribute_value(a)
            if isinstance(value, onnx.TensorProto):
                value = f"tensor {onnx.TensorProto.DataType.Name(value.data_type)}{list(value.dims)}"
            elif isinstance(value, onnx.GraphProto):
                value = "graph"
            elif a.type == onnx.AttributeProto.FLOATS:
                value = f"{len(value)} numbers"
            elif isinstance(value, bytes):
                value = value.decode()
            elif isinstance(value, list) and value and isinstance(value[0], bytes):
                value = [v.decode() for v in value]
            elif isinstance(value, float):
                value = f"{value:.6g}"
            attributes[a.name].add(str(value))
def short(nets):
    """Networks by exporter: `ts: mlp, cnn; dynamo: …`."""
    by = collections.defaultdict(list)
    for net in sorted(nets):
        parts = net.split("-", 2) if net.startswith("torch") else net.split("-", 1)
        by["-".join(parts[:-1]).removeprefix("torch-")].append(parts[-1])
    return "; ".join(f"{exporter}: {', '.join(names)}" for exporter, names in by.items())


print("| operator | attributes seen | inputs > outputs | networks |\n|---|---|---|---|")
for (domain, op), (attributes, nets, arities) in sorted(seen.items()):
    shown = "; ".join(f"{k} = {' / '.join(sorted(v)[:6])}" for k, v in sorted(attributes.items()))
    name = f"{domain}::{op}" if domain else op
    print(f"| {name} | {shown} | {' '.join(sorted(arities))} | {short(nets)} |")
