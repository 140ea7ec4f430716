"""Reads models that bitlane wrote with compressed-tensors' own decompressor.

    python read_models.py OUT MODEL...

For each MODEL, a directory, it writes OUT/<name>.safetensors: the float32 weight of
every quantized module as upstream decompresses it. The scheme of a module is the
one that upstream finds in config.json."""

import json
import pathlib
import sys

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.utils import match_named_modules, match_targets
from safetensors.torch import load_file, save_file


def module_tree(names):
    root = torch.nn.Module()
    for name in names:
        parent = root
        for part in name.split(".")[:-1]:
            if not hasattr(parent, part):
                parent.add_module(part, torch.nn.Module())
            parent = getattr(parent, part)
        parent.add_module(name.split(".")[-1], torch.nn.Linear(1, 1))
    return root


def main():
    out = pathlib.Path(sys.argv[1])
    for path in map(pathlib.Path, sys.argv[2:]):
        config = QuantizationConfig.model_validate(json.loads((path / "config.json").read_text())["quantization_config"])
        tensors = {}
        for file in sorted(path.glob("*.safetensors")):
            tensors |= load_file(file)
        linear = sorted({k.removesuffix(".weight_packed") for k in tensors if k.endswith(".weight_packed")} |
                        {k.removesuffix(".weight") for k, t in tensors.items() if k.endswith(".weight") and t.dim() == 2 and "embed" not in k})
        root = module_tree(linear)
        weights = {}
        # As apply_quantization_config does it, whose order of targets is not that of
        # the file: names, then patterns in the order of their text, then classes.
        schemes = {target: scheme for scheme in config.config_groups.values() for target in scheme.targets}
        found = {name: schemes[match_targets(name, module, schemes)[0]] for name, module in match_named_modules(root, schemes, config.ignore)}
        for name in linear:
            packed = {k.removeprefix(name + "."): t for k, t in tensors.items() if k.startswith(name + ".")}
            assert ("weight_packed" in packed) == (name in found), name
            if name in found:
                state = BaseCompressor.get_value_from_registry("pack-quantized").decompress(packed, found[name])
                weights[name] = state["weight"].to(torch.float32).contiguous()
        save_file(weights, out / (path.name + ".safetensors"))


main()
