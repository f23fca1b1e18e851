#!/usr/bin/env python3
# Breaks one CUDA kernel at a time and runs the parity suite on the emulated device: does it notice?
# SPDX-License-Identifier: Apache-2.0
"""broken_kernels.py [--only NAME,...] [--first] [--build build/emulation] [--output TABLE.md]

For every fault below: the kernel with that fault is translated, compiled with the build's own command and linked in
front of the sound one, and test_ops runs its CUDA cases of the op. A fault is caught when a test fails. test_ops must be
built in the preset `emulation`. Exit code 1 when a fault slips through or no longer applies to the sources, or the
sound kernels fail.
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KERNELS = ROOT / "src/ops/cuda"
TIME_LIMIT = 300  # seconds per fault: a fault may make a kernel loop for ever

# file to break, what is wrong, sound text, faulty text, test suites; for a shared header the kernel file that shows it
FAULTS = [
    ("adamw.cu", "second moment without the square", "a.rest_2 * (g * g)", "a.rest_2 * g", "AdamW"),
    ("adamw.cu", "weight decay left out", "segment.decay * before)", "0 * before)", "AdamW"),
    ("adamw.cu", "no barrier in the sum of a block", "    __syncthreads();\n    if (threadIdx.x < half) partial[threadIdx.x] +=", "    if (threadIdx.x < half) partial[threadIdx.x] +=", "AdamW"),
    ("adamw.cu", "segments begin at element 0", "int64_t i = segment.begin + blockIdx.x * kRowThreads + threadIdx.x; i < segment.end; i += step", "int64_t i = blockIdx.x * kRowThreads + threadIdx.x; i < segment.end; i += step", "AdamW"),
    ("attention.cu", "no barrier between loading and using a tile", "    load_tile(v, in.v(first, kv));\n    __syncthreads();", "    load_tile(v, in.v(first, kv));", "Attention"),
    ("attention.cu", "no barrier before the next tile is loaded", "    __syncthreads();  // keys and values before may still be being read\n", "", "Attention"),
    ("attention.cu", "sink counts nothing in the sum", "a.sinks ? 1.0f : 0.0f", "0.0f", "Attention"),
    ("attention.cu", "earlier sums are not corrected for a new maximum", "correction[r] = expf(most[r] - base)", "correction[r] = 1", "Attention"),
    ("attention_backward.cu", "keys' gradient without the softmax scale", "store_own_rows(gradient.k(first, kv), d_k, scale)", "store_own_rows(gradient.k(first, kv), d_k, kKeep)", "Attention"),
    ("attention_backward.cu", "first head of a group alone", "for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {", "for (int64_t head = kv * group; head < kv * group + 1; ++head) {", "Attention"),
    ("attention_backward.cu", "last queries of a window left out", "first + kAttentionTile - 1 + s.window_keys", "first + s.window_keys", "Attention"),
    ("attention_backward.cu", "sinks' gradient with the other sign", "store(static_cast<Out*>(a.d_sinks) + head, -sum)", "store(static_cast<Out*>(a.d_sinks) + head, sum)", "Attention"),
    ("attention_tile.cuh", "window one key too wide", "query - key < s.window_keys)", "query - key <= s.window_keys)", "Attention", "attention.cu"),
    ("attention_tile.cuh", "no meeting of the warp before weights are exchanged", "  __syncwarp();\n  for (int c", "  for (int c", "Attention", "attention.cu"),
    ("attention_tile.cuh", "rows that do not exist are read", "i < rows.count ? load(rows.data + i * rows.stride + c) : 0.0f", "load(rows.data + i * rows.stride + c)", "Attention", "attention.cu"),
    ("best.cuh", "a lane's later of equal values wins", "&& other < best)", "&& other > best)", "SigmoidRouter", "sigmoid_router.cu"),
    ("best.cuh", "equal values taken twice", "i <= last)", "i < last)", "SigmoidRouter", "sigmoid_router.cu"),
    ("bias.cu", "column counted from the element's row", "load(bias + i % columns)", "load(bias + i / columns % columns)", "SmallOps|MatmulParity"),
    ("bias.cu", "last element left out", "if (i < elements) store(c", "if (i + 1 < elements) store(c", "SmallOps|MatmulParity"),
    ("chunk_matches.cuh", "no barrier before counts are read", "warp_counts[own_warp] = __popc(mask);\n  __syncthreads();", "warp_counts[own_warp] = __popc(mask);", "Embedding", "embedding.cu"),
    ("chunk_matches.cuh", "a match counts as before itself", "((1u << lane) - 1)", "((2u << lane) - 1)", "Embedding", "embedding.cu"),
    ("column_sum.cuh", "no barrier in the tree", "    __syncthreads();\n    if (threadIdx.y < half)", "    if (threadIdx.y < half)", "RmsNorm", "rms_norm.cu"),
    ("column_sum.cuh", "overwrites instead of adding", "store(out + column, load(out + column) + sum)", "store(out + column, sum)", "RmsNorm", "rms_norm.cu"),
    ("column_sum.cuh", "slices that overlap", "rows * (slice + 1) / slices, columns}", "rows * (slice + 2) / slices, columns}", "HeadNorm", "head_norm.cu"),
    ("column_sum.cuh", "the last slice is not added", "(out, slices, columns, SliceTerm", "(out, slices - 1, columns, SliceTerm", "HeadNorm", "head_norm.cu"),
    ("columns.cu", "right part read from the left", "(j - a.left_columns);", "j;", "SmallOps"),
    ("cross_entropy.cu", "loss without the largest logit", "(largest - load(logits + a.labels[row])) + log_sum", "-load(logits + a.labels[row]) + log_sum", "CrossEntropy"),
    ("cross_entropy.cu", "label of the neighbour", "a.labels[row], a.lse[row], a.scale);", "a.labels[row] + 1, a.lse[row], a.scale);", "CrossEntropy"),
    ("elementwise.cu", "no barrier in the sum", "    __syncthreads();\n    if", "    if", "Elementwise"),
    ("elementwise.cu", "difference instead of sum", "load(a + i) + load(b + i)", "load(a + i) - load(b + i)", "Elementwise"),
    ("embedding.cu", "an id met earlier is added again", "if (__syncthreads_or(earlier)) return;", "__syncthreads_or(earlier);", "Embedding"),
    ("embedding.cu", "barrier that not all threads reach", "    __syncthreads();\n    for (int64_t j", "    if (match.mine) __syncthreads();\n    for (int64_t j", "Embedding"),
    ("expert_bias.cu", "bias moves the wrong way", "a.bias[e] += a.rate", "a.bias[e] -= a.rate", "SmallOps|SigmoidRouter|ExpertBias"),
    ("expert_bias.cu", "no barrier before the total is read", "  __syncthreads();\n", "", "SmallOps|SigmoidRouter|ExpertBias"),
    ("for_each.cuh", "a thread too many", "if (i < count) f(i);", "if (i <= count) f(i);", "Elementwise", "elementwise.cu"),
    ("gated_activation.cu", "gradient goes through the clamp", "u_is_clamped ? 0.0f : g * sigma", "g * sigma", "GatedActivation"),
    ("gated_activation.cu", "gate of the row left out", "const float d = gate * load(d_out + i)", "const float d = load(d_out + i)", "GatedActivation"),
    ("group_by_expert.cu", "rows of a later chunk begin at 0 again", "row += match.total;", "row += 0 * match.total;", "Routing"),
    ("group_by_expert.cu", "last boundary one short", "a.expert_begin[a.experts] = row;", "a.expert_begin[a.experts] = row - 1;", "Routing"),
    ("grouped_bias.cu", "scale of the row left out", "return scale ? scale[row] * value : value;", "return value;", "GroupedMatmul"),
    ("grouped_bias.cu", "overwrites instead of adding", "a.d_scale[row] += sum", "a.d_scale[row] = sum", "GroupedMatmul"),
    ("grouped_matmul.cu", "rows of a tile one too many", "row >= rows.end || column >= a.n", "row > rows.end || column >= a.n", "GroupedMatmul"),
    ("grouped_matmul.cu", "bias of another expert", "static_cast<const T*>(a.bias) + rows.expert * a.n", "static_cast<const T*>(a.bias)", "GroupedMatmul"),
    ("grouped_matmul.cu", "too few blocks for partly filled tiles", "tiles_of(a.rows) + static_cast<unsigned>(a.experts)", "tiles_of(a.rows)", "GroupedMatmul"),
    ("head_norm.cu", "keys normed with the queries' weight", "head < s.query_heads ? a.q_weight : a.k_weight", "head <= s.query_heads ? a.q_weight : a.k_weight", "HeadNorm"),
    ("head_norm.cu", "values not copied", "copy_rest(out_row, x_row, s);", "", "HeadNorm"),
    ("latent_qkv.cu", "backward turns forward again", "load(q), load(q + 1), p, -1)", "load(q), load(q + 1), p, 1)", "LatentQkv"),
    ("latent_qkv.cu", "shared key's gradient from the first head alone", "for (int64_t h = 0; h < a.heads; ++h) {", "for (int64_t h = 0; h < 1; ++h) {", "LatentQkv"),
    ("product_tile.cuh", "no barrier before tiles are overwritten", "    __syncthreads();  // the tiles before may still be being read\n", "", "GroupedMatmul", "grouped_matmul.cu"),
    ("product_tile.cuh", "terms beyond the last one count", "i < side.count && first + d < depth", "i < side.count", "GroupedMatmul", "grouped_matmul.cu"),
    ("rms_norm.cu", "epsilon left out", "static_cast<float>(columns) + epsilon", "static_cast<float>(columns)", "RmsNorm"),
    ("rms_norm.cu", "gradient without the term through the statistics", "load(x + begin + j) * factor", "load(x + begin + j) * 0 * factor", "RmsNorm"),
    ("rope.cu", "always forward", "a.direction * a.sin[angle]", "a.sin[angle]", "Rope"),
    ("rounding.cu", "last element not rounded", "if (i < elements)", "if (i + 1 < elements)", "SmallOps"),
    ("routing.cu", "gates not normalised", "value[c] /= sum", "value[c] /= 1", "Routing"),
    ("routing.cu", "a later equal logit overtakes", "return a > b ||", "return a >= b ||", "Routing"),
    ("sequence_balance.cu", "every lane counts", "if (threadIdx.x % 32 == 0) atomicAdd", "atomicAdd", "SequenceBalance"),
    ("sequence_balance.cu", "every lane's sum counts", "block_sum(lane == 0 ? sum : 0.0f)", "block_sum(sum)", "SequenceBalance"),
    ("sequence_balance.cu", "counts of the first sequence", "a.counts + row / a.length * a.experts", "a.counts", "SequenceBalance"),
    ("sharded_cross_entropy.cu", "label not moved to the shard", "a.labels[row] - a.first_class, a.lse[row]", "a.labels[row], a.lse[row]", "ShardedCrossEntropy"),
    ("sharded_cross_entropy.cu", "shards' sums not brought to one maximum", "* expf(a.statistics[shard * 3 * a.rows + row] - largest)", "* 1.0f", "ShardedCrossEntropy"),
    ("sigmoid_router.cu", "bias enters the gates", "sum += score[last];", "sum += biased[last];", "SigmoidRouter"),
    ("sigmoid_router.cu", "no meeting of the warp before groups are scored", "    biased[e] = s + a.bias[e];\n  }\n  __syncwarp();", "    biased[e] = s + a.bias[e];\n  }", "SigmoidRouter"),
    ("softmax_row.cuh", "gradient without the scale on the label", "(j == label ? scale : 0.0f)", "(j == label ? 1.0f : 0.0f)", "CrossEntropy", "cross_entropy.cu"),
    ("storage.cuh", "no barrier before a block's sums are read", "warp_sums[threadIdx.x / 32] = value;\n  __syncthreads();", "warp_sums[threadIdx.x / 32] = value;", "RmsNorm", "rms_norm.cu"),
    ("storage.cuh", "a warp's sum ends one step early", "for (int offset = 16; offset > 0; offset /= 2) value += ", "for (int offset = 16; offset > 1; offset /= 2) value += ", "RmsNorm", "rms_norm.cu"),
]


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


class Bench:
    """Compiles and links single kernels the way the build does."""

    def __init__(self, build):
        self.build = build
        self.compile = {pathlib.Path(entry["file"]).name: entry for entry in json.loads((build / "compile_commands.json").read_text())}
        listed = run(["ninja", "-C", build, "-t", "commands", "bin/test_ops"], check=True).stdout.splitlines()
        self.link = next(line for line in reversed(listed) if "-o bin/test_ops" in line)
        # What CMake adds around the link (": && ... && :") is the shell's.
        self.link = re.sub(r"^: && |&& :$|&& cd .*$", "", self.link.split(" : && ")[-1])

    def translated(self, name, text, folder):
        source = folder / name
        source.write_text(text)
        target = folder / "translated/ops/cuda" / (name + ".cpp" if name.endswith(".cu") else name)
        run([sys.executable, ROOT / "tests/emulation/translate.py", source, f"src/ops/cuda/{name}", target], check=True)
        return target

    def make(self, kernel, folder):
        """An object of a kernel file; what lies translated in the folder goes before what the build has."""
        entry = self.compile[kernel + ".cpp"]
        source = folder / "translated/ops/cuda" / (kernel + ".cpp")
        made = folder / (kernel + ".o")
        words = shlex.split(entry["command"])
        words[words.index("-o") + 1] = str(made)
        words[words.index("-c") + 1] = str(source)
        words[words.index("-c"):words.index("-c")] = ["-O1", "-w"]  # a fault may leave a name unused
        first = next(i for i, word in enumerate(words) if word.startswith("-I"))
        words.insert(first, f"-I{folder}/translated")
        done = run(words, cwd=entry["directory"])
        if done.returncode:
            sys.exit(f"{kernel} does not compile:\n{done.stderr}")
        return made

    def test(self, made, suites, folder):
        program = folder / "test_ops"
        objects = f"{made} " if made else ""
        command = self.link.replace("-o bin/test_ops ", f"-o {program} {objects}", 1)
        done = run(["bash", "-c", command], cwd=self.build)
        if done.returncode:
            sys.exit(f"test_ops does not link:\n{done.stderr}")
        wanted = ":".join(f"*{suite}*cuda*" for suite in suites.split("|"))
        environment = {**os.environ, "TIMETRIAL_REQUIRE_CUDA": "1"}
        try:
            done = run([program, f"--gtest_filter={wanted}", "--gtest_fail_fast"], cwd=ROOT, env=environment, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            return "does not end"
        if "[==========] 0 tests" in done.stdout or "Running 0 tests" in done.stdout:
            sys.exit(f"no test matches {wanted}")
        if done.returncode == 0:
            return None
        # A failure of the device says what the emulator saw; else the first case that failed.
        seen = re.search(r"^emulated device: (.*)$", done.stderr, re.M)
        failed = re.search(r"^\[  FAILED  \] (\S+?),? ", done.stdout, re.M)
        if seen:
            return "emulator: " + seen.group(1)
        if done.returncode < 0:
            return f"signal {-done.returncode}: memory that is not its own"
        return f"{failed.group(1)} fails"


def refuse_without_control(bench, chosen):
    """A suite that fails on the sound kernels would call every fault caught."""
    for suites in sorted({fault[4] for fault in chosen}):
        with tempfile.TemporaryDirectory() as temporary:
            verdict = bench.test(None, suites, pathlib.Path(temporary))
        if verdict:
            sys.exit(f"{suites}, kernels as they are: {verdict}; nothing can be said about faults")
    print("kernels as they are: every suite passes")


def judge(bench, fault):
    name, what, sound, faulty, suites = fault[:5]
    text = (KERNELS / name).read_text()
    if text.count(sound) < 1:
        return "does not apply"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        bench.translated(name, text.replace(sound, faulty), folder)
        kernel = fault[5] if len(fault) > 5 else name
        if kernel != name:
            bench.translated(kernel, (KERNELS / kernel).read_text(), folder)
        return bench.test(bench.make(kernel, folder), suites, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="files to break, comma separated")
    parser.add_argument("--first", action="store_true", help="one fault per file, the first")
    parser.add_argument("--build", default=ROOT / "build/emulation", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    only = set(filter(None, args.only.split(",")))
    kernels = {path.name for path in KERNELS.glob("*.cu")}
    unbroken = kernels - {fault[0] for fault in FAULTS}
    if unbroken:
        sys.exit(f"no fault for {', '.join(sorted(unbroken))}")
    bench = Bench(args.build.resolve())
    rows, wrong = [], 0
    chosen = [fault for fault in FAULTS if not only or fault[0] in only]
    if args.first:
        chosen = list({fault[0]: fault for fault in reversed(chosen)}.values())[::-1]
    refuse_without_control(bench, chosen)
    for fault in chosen:
        verdict = judge(bench, fault)
        bad = verdict in (None, "does not apply")
        wrong += bad
        rows.append(f"| {fault[0]} | {fault[1]} | {verdict if verdict == 'does not apply' else verdict or '**slips through**'} |")
        print(rows[-1], flush=True)
    table = ["| file | fault | what notices |", "|---|---|---|", *rows]
    if args.output:
        args.output.write_text("\n".join(table) + "\n")
    print(f"{len(rows) - wrong} of {len(rows)} caught")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
