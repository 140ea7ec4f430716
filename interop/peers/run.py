"""Times bitlane beside other libraries on this machine, and writes a table.

    run.py --binary PATH [--threads 1,2] [--shapes 4096x4096,...] [--m 1,16,...]
           [--only TEXT] [--rounds 5] [--turn 0.2] [--out FILE]

make bench-peers installs what is compared, builds bitlane's side and runs this.

Every engine is a process of its own: bitlane's is main.go, the others' engines.py.
Of two that are compared, and a third that reads memory, one computes at a time:
they take turns of a fraction of a second, and whoever has no turn is stopped by
a signal, so that its threads neither spin nor run. All are bound to the same
CPUs, one thread each, and all are given huge pages where the system has them on
request. Weights are cold: what is timed is always copies in turn that together
are larger than the caches, and the time of one is their average. A ratio is the
median over rounds of the peer's to bitlane's 10th percentile in the round:
other work on the machine lengthens the rest, and not of all engines alike. The
ratio of medians stands beside it.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What is compared: title, bitlane's layer, the other engine, what it is.
PAIRS = [
    ("int8 activations, groups of 32", dict(group=32, activations="int8-group/32", dtype="float32"), "ort-a4", "ONNX Runtime MatMulNBits, accuracy_level 4, block 32"),
    ("int8 activations, groups of 128", dict(group=128, activations="int8-group", dtype="float32"), "ort-a4", "ONNX Runtime MatMulNBits, accuracy_level 4, block 128"),
    ("exact, float32 x, groups of 32", dict(group=32, activations="exact", dtype="float32"), "ort-a0", "ONNX Runtime MatMulNBits, accuracy_level 0, block 32"),
    ("exact, float32 x, groups of 128", dict(group=128, activations="exact", dtype="float32"), "ort-a0", "ONNX Runtime MatMulNBits, accuracy_level 0, block 128"),
    ("int8 rows, asymmetric, groups of 32", dict(group=32, activations="int8-token-asym", dtype="float32"), "torch-dyn", "PyTorch _dyn_quant_matmul_4bit, block 32"),
    ("exact, bfloat16 x, groups of 32", dict(group=32, activations="exact", dtype="bfloat16"), "torch-int4pack", "PyTorch _weight_int4pack_mm_for_cpu, group 32"),
    ("exact, bfloat16 x, groups of 128", dict(group=128, activations="exact", dtype="bfloat16"), "torch-int4pack", "PyTorch _weight_int4pack_mm_for_cpu, group 128"),
    ("exact, bfloat16 x, plain bfloat16 weights", dict(bits=16, group=128, activations="exact", dtype="bfloat16"), "torch-linear", "PyTorch mkldnn._linear_pointwise, weights packed by oneDNN"),
]

# Rounds end early where they take so many times as long as they should.
PATIENCE = 4

# All copies in turn, if expected to take longer, are not run: seconds.
LONGEST = 15


class Engine:
    """A process that answers, and is stopped while it has no turn."""

    def __init__(self, command, cpus):
        env = dict(os.environ, OMP_NUM_THREADS=str(len(cpus)), OMP_PROC_BIND="true", OMP_PLACES=",".join("{%d}" % c for c in cpus))
        env["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # huge pages on request
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, **question):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended: see above")
        self.stop()
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def compare(ours, peer, m, rounds, turn):
    """Takes turns and returns the figures of one number of rows."""
    mine, others, read, ratios, medians = [], [], [], [], []
    start = time.monotonic()
    for round in range(rounds):
        order = [(ours, mine), (peer, others)]
        best, middle = {}, {}
        for engine, times in order if round % 2 == 0 else order[::-1]:
            found = engine.ask(do="run", rows=m, seconds=turn)["times"]
            if len(found) > 3:
                found = found[1:]  # the first call finds cold caches
            times.append(found)
            best[engine], middle[engine] = quantile(found, 0.1), statistics.median(found)
        read += ours.ask(do="read", seconds=turn / 10)["gbps"]
        ratios.append(best[peer] / best[ours])
        medians.append(middle[peer] / middle[ours])
        if time.monotonic() - start > PATIENCE * rounds * turn and round >= 1:
            break
    flat = lambda lists: [t for l in lists for t in l]
    return dict(
        ratio=statistics.median(ratios), low=min(ratios), high=max(ratios), medians=statistics.median(medians), read=statistics.median(read),
        ours=statistics.median(flat(mine)), ours10=quantile(flat(mine), 0.1),
        peer=statistics.median(flat(others)), peer10=quantile(flat(others), 0.1),
    )


def microseconds(t):
    us = t * 1e6
    return f"{us:.0f}" if us >= 100 else f"{us:.1f}"


def percent(part):
    return f"{part * 100:.0f} %" if part >= 0.1 else f"{part * 100:.1f} %"


def bytes_of(layer, k, n):
    """Codes and float16 scales, or plain weights of 16 bits."""
    return 2 * k * n if "bits" in layer else k * n // 2 + k // layer["group"] * n * 2


def cells(f, k, n, m, ours_bytes, peer_bytes):
    row = [f"{k}x{n}", str(m)]
    for t10, t, size in (f["ours10"], f["ours"], ours_bytes), (f["peer10"], f["peer"], peer_bytes):
        row += [f"{microseconds(t10)} ({microseconds(t)})", percent(size / t10 / 1e9 / f["read"])]
    row += [f"**{f['ratio']:.2f}**", f"{f['low']:.2f} to {f['high']:.2f}", f"{f['medians']:.2f}", f"{f['read']:.1f}"]
    return row


HEAD = ["K x N", "M", "bitlane, us", "of read", "peer, us", "of read", "times faster", "rounds", "by medians", "read, GB/s"]


def table(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def run_pair(pair, options, cpus, versions):
    title, layer, name, what = pair
    rows, kernels = [], []
    list_of_cpus = ",".join(map(str, cpus))
    ours = Engine([options.binary, "-cpus", list_of_cpus], cpus)
    peer = None
    try:
        peer = Engine([sys.executable, str(HERE / "engines.py"), name, list_of_cpus], cpus)
        for k, n in options.shapes:
            note(f"{what}, {len(cpus)} threads, {k}x{n}: preparing")
            q = dict(do="prepare", k=k, n=n, rows=max(options.m)) | dict(bits=4) | layer
            mine = ours.ask(**q)
            theirs = peer.ask(**q, cold=options.cold)
            versions.update({"version " + name.split("-")[0]: theirs["version"], "memory": mine["memory"], "device": mine["device"], "tier": mine["tier"]})
            if not mine["cold"]:
                versions["warm"] = "bitlane's copies were smaller than the caches"
            if mine["kernel"] not in kernels:
                kernels.append(mine["kernel"])
            slowest = 0.0  # seconds that all copies took for a row, of the last number of rows
            for m in sorted(options.m):
                if slowest * m > LONGEST:
                    rows.append([f"{k}x{n}", str(m), "", "", f"not run: over {LONGEST} s expected", "", "", "", "", ""])
                    continue
                note(f"{what}, {len(cpus)} threads, {k}x{n}, M={m}")
                f = compare(ours, peer, m, options.rounds, options.turn)
                slowest = max(f["ours10"] * mine["copies"], f["peer10"] * theirs["copies"]) / m
                rows.append(cells(f, k, n, m, bytes_of(layer, k, n), theirs["bytes"]))
    finally:
        for e in (ours, peer):
            if e is not None:
                e.close()
    return f"## {title}, {count(len(cpus))}\n\nbitlane `{'`, `'.join(kernels)}` against {what}.\n\n{table(rows)}"


def count(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


def note(text):
    if sys.stderr.isatty():
        print("\r\x1b[K" + text[:100], end="", file=sys.stderr, flush=True)


def output(command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    field = lambda name: (re.search(rf"^{name}\s*: (.*)$", text, re.M) or ["", "unknown"])[1].strip()
    return field("model name"), field("cpu family"), field("model")


def last_level_cache():
    sizes = [0]
    for f in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        sizes.append(int(f.read_text().strip().removesuffix("K")) << 10)
    return max(sizes) or 64 << 20


def numbers(text):
    return [int(w) for w in text.split(",")]


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True, help="main.go, built")
    p.add_argument("--threads", type=numbers, default=None, help="numbers of threads (default 1 and all)")
    p.add_argument("--shapes", default="4096x4096,4096x14336,14336x4096")
    p.add_argument("--m", type=numbers, default=[1, 4, 16, 64, 256])
    p.add_argument("--only", default="", help="only comparisons whose peer holds this text, for example 'level 4'")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--turn", type=float, default=0.2, help="seconds")
    p.add_argument("--out", default=None, help="default: docs/measurements/peers-PROCESSOR.md")
    o = p.parse_args()
    o.shapes = [tuple(int(v) for v in s.split("x")) for s in o.shapes.split(",")]
    o.pairs = [pair for pair in PAIRS if o.only in pair[3]]
    if not o.pairs:
        p.error("--only matches none of: " + "; ".join(pair[3] for pair in PAIRS))
    o.cold = 4 * last_level_cache()
    o.cpus = one_per_core(sorted(os.sched_getaffinity(0)))
    o.threads = o.threads or sorted({1, len(o.cpus)})
    if max(o.threads) > len(o.cpus):
        p.error(f"--threads: there are {len(o.cpus)} cores")
    return o


def one_per_core(cpus):
    seen, picked = set(), []
    for c in cpus:
        try:
            core = pathlib.Path(f"/sys/devices/system/cpu/cpu{c}/topology/thread_siblings_list").read_text()
        except OSError:
            core = str(c)
        if core not in seen:
            seen.add(core)
            picked.append(c)
    return picked


def main():
    o = arguments()
    model, family, number = processor()
    commit = output(["git", "describe", "--always", "--dirty", "--exclude=*"])
    load = os.getloadavg()[0]
    versions, parts, failed = {}, [], False
    for threads in o.threads:
        for pair in o.pairs:
            try:
                parts.append(run_pair(pair, o, o.cpus[:threads], versions))
            except RuntimeError as problem:
                failed = True
                parts.append(f"## {pair[0]}, {count(threads)}\n\nNot compared with {pair[3]}: {problem}\n")
    note("")
    libraries = ", ".join(sorted(v for k, v in versions.items() if k.startswith("version")))
    flags = shlex.join(a for a in sys.argv[1:] if a not in ("--binary", o.binary))
    command = "make bench-peers" + (f' PEERFLAGS="{flags}"' if flags else "")
    text = "\n".join(
        [
            f"# Peers on {model}",
            "",
            f"bitlane {commit} beside {libraries or 'nothing'}, {datetime.date.today()}.",
            f"{model}, family {family} model {number}, tier {versions.get('tier', 'unknown')}; one thread on each of CPU {','.join(map(str, o.cpus[: max(o.threads)]))}.",
            f"Load average of the machine {load:.1f} before and {os.getloadavg()[0]:.1f} after: other work makes every figure less certain.",
            "",
            f"    {command}",
            "",
            f"4-bit weights, symmetric, where they are not plain; bitlane's scales are float16, the others' float32 or, with bfloat16 x, bfloat16. Engines take turns of {o.turn * 1e3:.0f} ms and",
            "are stopped while they have none. Times are of one layer, 10th percentile (median). Bitlane's weights are in",
            f"{versions.get('memory', 'unknown pages')}; the others' memory comes from glibc with huge pages on request. All weights are cold. \"of read\" is bytes of codes and scales by",
            "time, of what reading memory with the same threads gave in the same second. All engines are timed over all copies of a layer in",
            "turn: ONNX Runtime in one call with outputs allocated before, PyTorch with a few us of the interpreter for each.",
            "",
            "\n".join(parts),
        ]
    )
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    out = pathlib.Path(o.out) if o.out else ROOT / "docs" / "measurements" / f"peers-{slug}-{family}-{number}.md"
    out.write_text(text)
    print(out)
    sys.exit(1 if failed else 0)


main()
