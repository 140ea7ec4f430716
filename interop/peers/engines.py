"""The other libraries' side of the comparison: one engine in a process of its
own, asked over stdin and stdout like main.go. run.py starts it, with its
threads and its memory's pages set by the environment.

    engines.py NAME CPUS      for example: engines.py ort-a4 0,1

NAME: ort-a4, ort-a0 (ONNX Runtime's MatMulNBits, accuracy_level 4 and 0, float32
x), torch-dyn (aten::_dyn_quant_matmul_4bit, float32 x), torch-int4pack
(aten::_weight_int4pack_mm_for_cpu, bfloat16 x) or torch-linear (oneDNN's product of
bfloat16 with weights that it packed).

An engine holds copies of a layer that together are larger than the caches, and
what it times is always all of them in turn.
After it has prepared them, one result is compared with numpy: an operator that
computes something else is no peer.
"""

import json
import os
import sys
import time

import numpy as np

MOST_COPIES = 1024


def codes_and_scales(k, n, group):
    """Signed 4-bit codes [n, k] and float32 scales [n, k/group]."""
    rng = np.random.default_rng(1)
    codes = rng.integers(-8, 8, (n, k), dtype=np.int8)
    scales = (rng.random((n, k // group), dtype=np.float32) + 0.5) / np.float32(8 * k**0.5)
    return codes, scales


def check(name, got, x, codes, scales, group, tolerance):
    w = codes.astype(np.float32) * np.repeat(scales, group, axis=1)
    want = x.astype(np.float32) @ w.T
    error = np.abs(got - want).max() / np.abs(want).max()
    if not error < tolerance:
        raise ValueError(f"{name} is off by {error:.2g} of the largest result")
    return float(error)


class OnnxRuntime:
    """One model of copies of the operator that share x: one call runs all, so
    that what the interpreter costs is spread over them. Outputs are allocated
    before."""

    def __init__(self, level, cpus):
        import onnxruntime

        self.ort, self.level, self.cpus = onnxruntime, level, cpus
        self.session = None
        self.bindings = {}

    def version(self):
        return "onnxruntime " + self.ort.__version__

    def prepare(self, q, cold):
        from onnx import TensorProto, helper

        k, n, group = q["k"], q["n"], q["group"]
        self.session, self.bindings, self.kept = None, {}, []
        codes, scales = codes_and_scales(k, n, group)
        unsigned = (codes + 8).astype(np.uint8)
        packed = (unsigned[:, 0::2] | unsigned[:, 1::2] << 4).reshape(n, k // group, group // 2)
        each = packed.nbytes + scales.nbytes
        self.copies = max(1, min(MOST_COPIES, -(-cold // each)))
        nodes, initializers, outputs = [], [], []
        options = self.ort.SessionOptions()

        def weight(name, kind, array):
            # Beside the model, which may not be over 2 GB.
            t = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
            t.external_data.add(key="location", value="memory")
            initializers.append(t)
            value = self.ort.OrtValue.ortvalue_from_numpy(array)  # which does not copy it
            self.kept.append((array, value))
            options.add_external_initializers([name], [value])

        for i in range(self.copies):
            # Weights of the same content share what they are packed to, and would not
            # be cold: every copy has its columns in another order.
            weight(f"b{i}", TensorProto.UINT8, np.roll(packed, i, axis=0))
            weight(f"s{i}", TensorProto.FLOAT, np.roll(scales, i, axis=0).reshape(-1))
            nodes.append(
                helper.make_node(
                    "MatMulNBits", ["x", f"b{i}", f"s{i}"], [f"y{i}"], domain="com.microsoft",
                    K=k, N=n, bits=4, block_size=group, accuracy_level=self.level,
                )
            )
            outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ["m", n]))
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", k])]
        model = helper.make_model(
            helper.make_graph(nodes, "copies", inputs, outputs, initializers),
            opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
        )
        model.ir_version = 10
        options.intra_op_num_threads, options.inter_op_num_threads = len(self.cpus), 1
        if len(self.cpus) > 1:  # the threads beside the caller's; processors count from 1
            options.add_session_config_entry("session.intra_op_thread_affinities", ";".join(str(c + 1) for c in self.cpus[1:]))
        self.session = self.ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.k, self.n = k, n
        x, ys = self.bind(2)
        self.session.run_with_iobinding(self.bindings[2][0])
        first, last = ys[0].numpy(), np.roll(ys[-1].numpy(), 1 - self.copies, axis=1)
        error = max(check("MatMulNBits", y, x, codes, scales, group, 0.05) for y in (first, last))
        self.bindings = {}
        return {"copies": self.copies, "off": error, "bytes": each}

    def bind(self, rows):
        x = np.random.default_rng(2).standard_normal((rows, self.k), dtype=np.float32)
        binding = self.session.io_binding()
        x_value = self.ort.OrtValue.ortvalue_from_numpy(x)
        binding.bind_ortvalue_input("x", x_value)
        ys = []
        for i in range(self.copies):
            y = self.ort.OrtValue.ortvalue_from_numpy(np.zeros((rows, self.n), np.float32))
            binding.bind_ortvalue_output(f"y{i}", y)
            ys.append(y)
        self.bindings = {rows: (binding, x_value, ys)}
        return x, ys

    def call(self, rows):
        """Runs every copy once and returns the seconds of one, on average."""
        if rows not in self.bindings:
            self.bind(rows)
        binding = self.bindings[rows][0]
        start = time.perf_counter()
        self.session.run_with_iobinding(binding)
        return (time.perf_counter() - start) / self.copies


class Torch:
    def __init__(self, operator, cpus):
        import torch

        self.torch, self.operator = torch, operator
        torch.set_num_threads(len(cpus))
        torch.set_grad_enabled(False)

    def version(self):
        return "torch " + self.torch.__version__

    def prepare(self, q, cold):
        torch, k, n, group = self.torch, q["k"], q["n"], q["group"]
        self.layers, self.x = [], {}
        codes, scales = codes_and_scales(k, n, group)
        self.k, self.n, self.group = k, n, group
        shifted = torch.from_numpy((codes + 8).astype(np.uint8))
        wide = torch.from_numpy(scales)
        if self.operator == "dyn":
            # Packed for this processor the operator holds one float per two codes.
            self.type, each, x_error = torch.float32, 2 * n * k, 0.05
            bytes_of_file = n * k // 2 + scales.nbytes
            nibbles = shifted[:, 1::2] << 4 | shifted[:, 0::2]
            pack = lambda: torch.ops.aten._dyn_quant_pack_4bit_weight(nibbles, wide, None, group, k, n)
            self.apply = lambda x, w: torch.ops.aten._dyn_quant_matmul_4bit(x, w, group, k, n)
        elif self.operator == "linear":
            self.type, x_error = torch.bfloat16, 0.05
            each = bytes_of_file = 2 * n * k
            plain = torch.from_numpy(codes * np.repeat(scales, group, axis=1)).to(self.type)
            pack = lambda: torch.ops.mkldnn._reorder_linear_weight(plain)
            self.apply = lambda x, w: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
        else:
            self.type, each, x_error = torch.bfloat16, n * k // 2 + 2 * scales.nbytes, 0.05
            bytes_of_file = n * k // 2 + scales.nbytes
            whole = shifted.to(torch.int32)
            pairs = torch.stack([wide.t(), torch.zeros_like(wide.t())], -1).to(self.type).contiguous()
            scales = pairs[:, :, 0].float().t().contiguous().numpy()
            pack = lambda: (torch.ops.aten._convert_weight_to_int4pack_for_cpu(whole, 1), pairs.clone())
            self.apply = lambda x, w: torch.ops.aten._weight_int4pack_mm_for_cpu(x, w[0], group, w[1])
        copies = max(1, min(MOST_COPIES, -(-cold // each)))
        self.layers = [pack() for _ in range(copies)]
        x = self.rows(2)
        got = self.apply(x, self.layers[-1]).float().numpy()
        error = check(self.operator, got, x.float().numpy(), codes, scales, group, x_error)
        return {"copies": copies, "off": error, "bytes": bytes_of_file}

    def rows(self, rows):
        if rows not in self.x:
            rng = np.random.default_rng(2)
            self.x = {rows: self.torch.from_numpy(rng.standard_normal((rows, self.k), dtype=np.float32)).to(self.type)}
        return self.x[rows]

    def call(self, rows):
        """Applies every copy once and returns the seconds of one, on average."""
        x = self.rows(rows)
        start = time.perf_counter()
        for layer in self.layers:
            self.apply(x, layer)
        return (time.perf_counter() - start) / len(self.layers)


def engine(name, cpus):
    library, _, how = name.partition("-")
    if library == "ort":
        return OnnxRuntime(int(how[1:]), cpus)
    return Torch(how, cpus)


def main():
    name, cpus = sys.argv[1], [int(c) for c in sys.argv[2].split(",")]
    # Libraries print what they like; answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.sched_setaffinity(0, cpus)
    e = engine(name, cpus)
    for line in sys.stdin:
        q = json.loads(line)
        try:
            if q["do"] == "prepare":
                os.sched_setaffinity(0, cpus)  # threads that are made now inherit it
                answer = e.prepare(q, q["cold"]) | {"version": e.version()}
                os.sched_setaffinity(0, cpus[:1])  # the caller's thread
            else:
                times, start = [], time.perf_counter()
                while not times or time.perf_counter() - start < q["seconds"]:
                    times.append(e.call(q["rows"]))
                answer = {"times": times}
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        answers.write(json.dumps(answer) + "\n")


main()
