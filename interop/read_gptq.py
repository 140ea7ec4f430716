"""Reads models that bitlane wrote with GPTQModel's layers and configuration.

    python read_gptq.py OUT MODEL...

For each MODEL, a directory, it writes OUT/<name>.safetensors: the float32 weight
[N, K] of every quantized module as GPTQModel dequantizes it on a CPU."""

import pathlib
import sys

import torch
from gptqmodel.nn_modules.qlinear.torch import TorchLinear
from gptqmodel.quantization import QuantizeConfig
from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
from safetensors.torch import load_file, save_file


def main():
    out = pathlib.Path(sys.argv[1])
    for path in map(pathlib.Path, sys.argv[2:]):
        config = QuantizeConfig.from_pretrained(str(path))
        version2 = str(getattr(config.format, "value", config.format)) == "gptq_v2"
        tensors = {}
        for file in sorted(path.glob("*.safetensors")):
            tensors |= load_file(file)
        weights = {}
        for name in [k.removesuffix(".weight") for k, t in tensors.items() if k.endswith(".weight") and t.dim() == 2]:
            kept = config.dynamic_get(layer_name=name) is False or name == "lm_head" and not config.lm_head or "embed" in name
            assert kept, f"{name} is plain, but the configuration does not say so"
        for name in [k.removesuffix(".qweight") for k in tensors if k.endswith(".qweight")]:
            assert config.dynamic_get(layer_name=name) is not False, name
            get = lambda key, default: config.dynamic_get(name, key, default)
            state = {k.removeprefix(name + "."): t for k, t in tensors.items() if k.startswith(name + ".")}
            bits, k, n = get("bits", config.bits), state["g_idx"].numel(), state["scales"].shape[1]
            layer = TorchLinear(bits=bits, group_size=get("group_size", config.group_size), sym=get("sym", config.sym),
                                desc_act=get("desc_act", config.desc_act), in_features=k, out_features=n, bias="bias" in state)
            layer.scales = layer.scales.to(state["scales"].dtype)
            layer.load_state_dict(state, strict=True)
            if not version2:
                convert_gptq_v1_to_v2_format_module(layer, bits=bits, pack_dtype=torch.int32)
            layer.eval()
            layer.optimized = True  # do not compile what is called once
            layer.post_init()
            weights[name] = layer.dequantize_weight().T.to(torch.float32).contiguous()
        save_file(weights, out / (path.name + ".safetensors"))


main()
