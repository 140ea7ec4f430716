"""Writes files with the PyPI packages safetensors, compressed-tensors and torch
for the Go tests of this folder to read.

    python write_files.py OUT

Every random number comes from one seeded generator. What the Go side must
find stands in OUT/*.safetensors beside the models.
"""

import hashlib
import json
import pathlib
import sys

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationConfig,
    QuantizationScheme,
)
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import (
    calculate_qparams,
    compute_dynamic_scales_and_zp,
)
from safetensors.torch import save, save_file

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def rand(gen, *shape):
    return torch.randn(*shape, generator=gen, dtype=torch.float32)


def plain_files(out, gen):
    """safetensors files of every type torch has, and of odd shapes and names."""
    types = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
             torch.float16, torch.bfloat16, torch.float32, torch.float64,
             torch.float8_e4m3fn, torch.float8_e5m2,
             torch.uint16, torch.uint32, torch.uint64, torch.complex64]
    tensors = {}
    for t in types:
        size = torch.empty(0, dtype=t).element_size()
        raw = torch.randint(0, 256, (3, 5 * size), generator=gen, dtype=torch.uint8)
        if t is torch.bool:
            raw &= 1
        tensors[str(t).removeprefix("torch.")] = raw.view(t)
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.empty(0, 7)
    tensors["blank name"] = torch.ones(1)
    tensors['quote " back \\ slash / tab \t'] = torch.ones(2)
    tensors["\u00e4\u4e2d\U0001f600"] = torch.ones(3)
    data = save(tensors, metadata={"format": "pt", "note": "\u00fc\n\"quoted\""})
    (out / "plain.safetensors").write_bytes(data)
    want = {}
    for name, t in tensors.items():
        raw = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""
        want[name] = {"shape": list(t.shape), "sha256": hashlib.sha256(raw).hexdigest()}
    (out / "plain.json").write_text(json.dumps(want))


def scheme_of(bits, symmetric, group, activations):
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric}
    weights |= {"strategy": "group", "group_size": group} if group else {"strategy": "channel"}
    inputs = None
    if activations:
        inputs = QuantizationArgs(num_bits=8, type="int", symmetric=True, strategy="token", dynamic=True)
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights), input_activations=inputs)


def qparams(w, args, group):
    blocks = w.unflatten(-1, (-1, group)) if group else w.unsqueeze(1)
    scale, zero = calculate_qparams(blocks.amin(-1), blocks.amax(-1), args)
    return scale, zero


def ct_model(out, gen, name, fmt, bits, symmetric, group, dtype, activations=False, n=40, k=96):
    """One compressed-tensors model of one layer, and what it holds."""
    dtype_name, dtype = dtype, DTYPES[dtype]
    scheme = scheme_of(bits, symmetric, group, activations)
    w = (rand(gen, n, k) * 0.05 + (0.0 if symmetric else 0.02)).to(dtype)
    scale, zero = qparams(w, scheme.weights, group)
    state = {"weight": w, "weight_scale": scale, "weight_zero_point": zero, "bias": rand(gen, n).to(dtype)}
    codes = quantize(x=w, scale=scale, zero_point=zero, args=scheme.weights, dtype=torch.int8)
    packed = BaseCompressor.get_value_from_registry(fmt).compress(state, scheme)
    prefix = "model.layers.0.mlp.down_proj"
    path = out / "ct" / name
    path.mkdir(parents=True)
    save_file({f"{prefix}.{key}": t.contiguous() for key, t in packed.items()}, path / "model.safetensors")
    config = QuantizationConfig(config_groups={"group_0": scheme}, format=fmt, quantization_status="compressed", ignore=["lm_head"])
    text = json.dumps({"architectures": ["LlamaForCausalLM"], "dtype": dtype_name, "quantization_config": json.loads(config.model_dump_json())})
    (path / "config.json").write_text(text)
    offset = 1 << (bits - 1)
    save_file({
        "codes": (codes.to(torch.int16) + offset).to(torch.uint8),
        "zeros": (zero.to(torch.int32) + offset).contiguous(),
        "scales": scale.to(torch.float32).contiguous(),
        "bias": state["bias"].to(torch.float32),
    }, path / "expected.safetensors")


def ct_models(out, gen):
    dtypes = list(DTYPES)
    for bits in range(2, 9):
        for symmetric in (True, False):
            for group in (None, 32):
                dtype = dtypes[(bits + symmetric + bool(group)) % 3]
                name = f"pack-w{bits}-{'sym' if symmetric else 'asym'}-{f'g{group}' if group else 'channel'}-{dtype}"
                ct_model(out, gen, name, "pack-quantized", bits, symmetric, group, dtype)
    # K and N that fill no whole words
    ct_model(out, gen, "pack-w3-asym-odd", "pack-quantized", 3, False, None, "bfloat16", n=37, k=101)
    ct_model(out, gen, "pack-w7-asym-odd", "pack-quantized", 7, False, 35, "float16", n=13, k=105)
    for dtype in dtypes:
        ct_model(out, gen, f"int-w8a8-{dtype}", "int-quantized", 8, True, None, dtype, True)
        ct_model(out, gen, f"int-w8a8-asym-{dtype}", "int-quantized", 8, False, None, dtype, True)
        ct_model(out, gen, f"int-w4a8-{dtype}", "int-quantized", 4, True, 32, dtype, True)
        ct_model(out, gen, f"naive-w8a16-{dtype}", "naive-quantized", 8, True, None, dtype)


def rows_of_interest(gen, dtype, m, k):
    """Rows of many magnitudes, with ties, a zero row, and the ends of the range."""
    x = rand(gen, m, k)
    x *= torch.exp2(torch.randint(-30, 12, (m, 1), generator=gen).float())
    x[::3, 5] *= 64
    x[0] = 0
    x[1] = torch.arange(k) / 2 - k / 4
    x[1, 0] = 127.5
    x[2] = torch.arange(k) % 256 - 127.5
    x[3] = torch.finfo(dtype).tiny / 4
    x[4] = torch.finfo(dtype).smallest_normal * torch.arange(k)
    x[5, 1:] = 0
    most = torch.finfo(dtype).max
    x[6] *= most / 4
    return x.clamp(-most, most).to(dtype)


def token_activations(out, gen):
    """Dynamic per-token int8 of compressed-tensors, which wants [batch, M, K]."""
    args = QuantizationArgs(num_bits=8, type="int", symmetric=True, strategy="token", dynamic=True)
    for name, dtype in DTYPES.items():
        x = rows_of_interest(gen, dtype, 200, 96)
        scale, zero = compute_dynamic_scales_and_zp(x.unsqueeze(0), args, torch.nn.Linear(1, 1))
        codes = quantize(x=x.unsqueeze(0), scale=scale, zero_point=zero, args=args, dtype=torch.int8)
        save_file({"x": x, "codes": codes.squeeze(0).contiguous(), "scales": scale.reshape(-1).to(torch.float32)},
                  out / f"token-{name}.safetensors")


def dyn_quant(out, gen):
    """_dyn_quant_matmul_4bit in float32, channel-wise and group-wise."""
    for n, k, block in ((48, 96, 96), (32, 128, 32), (64, 512, 128), (40, 4096, 4096), (24, 1024, 64)):
        for bf16 in (False, True):
            codes = torch.randint(0, 16, (n, k), generator=gen, dtype=torch.uint8)
            scales = rand(gen, n, k // block).abs() * 0.01 + 0.001
            if bf16:
                scales = scales.to(torch.bfloat16).to(torch.float32)
            x = rand(gen, 9, k)
            x *= torch.exp2(torch.randint(-6, 7, (9, 1), generator=gen).float())
            x[1] = 0
            x[2] = x[2].abs() + 1
            x[3] = -x[3].abs() - 1
            x[4] = torch.arange(k) % 256 - 128
            x[5, 1:] = 0
            packed_nibbles = (codes[:, 1::2] << 4 | codes[:, ::2]).contiguous()
            packed = torch.ops.aten._dyn_quant_pack_4bit_weight(packed_nibbles, scales if block < k else scales.reshape(n, 1), None, block, k, n)
            y = torch.ops.aten._dyn_quant_matmul_4bit(x, packed, block, k, n)
            save_file({"codes": codes, "scales": scales, "x": x, "y": y},
                      out / f"dyn-n{n}-k{k}-b{block}{'-bf16' if bf16 else ''}.safetensors")


def rtn(out, gen):
    """Round-to-nearest as an inference server does it on load: torch operators in
    the weight's own type, each rounding to it."""
    for name, dtype in DTYPES.items():
        w = rand(gen, 24, 256) * torch.exp2(torch.randint(-14, 3, (24, 1), generator=gen).float())
        w[0, :128] = 0
        w[1] = torch.tensor([-1, 0.5, 0.25, 1]).repeat(64)
        w[2] = torch.tensor([0.3, -0.7, 0.011, 0.0039]).repeat(64)
        w[3] = torch.arange(256) / 16 - 8
        w = w.to(dtype)
        for bits in (4, 8):
            for group in (-1, 32, 128):
                groups = w.reshape(w.numel() // group if group > 0 else w.shape[0], -1)
                m = torch.maximum(groups.amin(-1, keepdim=True).abs(), groups.amax(-1, keepdim=True).abs())
                scale = (m * 2.0) / (2 ** bits - 1)
                q = (groups / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).round()
                q = torch.nan_to_num(q, nan=0.0).to(torch.int8).reshape(w.shape)
                save = {"w": w, "codes": (q.to(torch.int16) + 2 ** (bits - 1)).to(torch.uint8),
                        "scales": scale.reshape(w.shape[0], -1).to(torch.float32)}
                save["packed"] = q if bits == 8 else (q[:, 1::2] << 4 | q[:, ::2] & 15).reshape(w.shape[0] // 2, -1)
                save_file({k: v.contiguous() for k, v in save.items()}, out / f"rtn-{name}-w{bits}g{group}.safetensors")


def rtn_asymmetric(out, gen):
    """compressed-tensors' own round to nearest with zero points, in the weight's type."""
    for name, dtype in DTYPES.items():
        w = rand(gen, 24, 256) * torch.exp2(torch.randint(-14, 3, (24, 1), generator=gen).float())
        w[0] += 3
        w[1] = w[1].abs()
        w[2] = -w[2].abs()
        w[3] = torch.arange(256) / 16 - 8
        w[4] = torch.arange(256) / 16
        w[5, ::2] = 0
        w = w.to(dtype)
        for bits in range(2, 9):
            for group in (256, 32):
                args = QuantizationArgs(num_bits=bits, type="int", symmetric=False, strategy="group", group_size=group)
                scale, zero = qparams(w, args, group)
                codes = quantize(x=w, scale=scale, zero_point=zero, args=args, dtype=torch.int8)
                offset = 1 << (bits - 1)
                save_file({"w": w, "codes": (codes.to(torch.int16) + offset).to(torch.uint8), "scales": scale.to(torch.float32).contiguous(),
                           "zeros": (zero.to(torch.int32) + offset).contiguous()}, out / f"rtnasym-w{bits}g{group}-{name}.safetensors")


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    gen = torch.Generator().manual_seed(20260819)
    plain_files(out, gen)
    ct_models(out, gen)
    token_activations(out, gen)
    dyn_quant(out, gen)
    rtn(out, gen)
    rtn_asymmetric(out, gen)
    print(f"torch {torch.__version__}")


main()
