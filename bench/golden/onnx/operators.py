"""Prints, for the networks in a folder, the operators with their attributes and in which networks they occur, as a Markdown table.

usage: python operators.py FOLDER
"""

import collections
import pathlib
import sys

import onnx

seen = collections.defaultdict(lambda: (collections.defaultdict(set), set(), set()))
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
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
            elif isinstance(value, list) and len(value) > 6:
                value = f"{len(value)} values"
            elif isinstance(value, bytes):
                value = value.decode()
            attributes[a.name].add(str(value))
print("| operator | attributes | inputs > outputs | networks |\n|---|---|---|---|")
for (domain, op), (attributes, nets, arities) in sorted(seen.items()):
    shown = "; ".join(f"{k} = {' / '.join(sorted(v)[:6])}" for k, v in sorted(attributes.items()))
    name = f"{domain}::{op}" if domain else op
    print(f"| {name} | {shown} | {' '.join(sorted(arities))} | {', '.join(sorted(nets))} |")
