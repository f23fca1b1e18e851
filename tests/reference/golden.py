"""Records what PyTorch and transformers compute for tiny models: logits, losses, gradients, an AdamW trajectory.

A case is one folder: case.json (how to configure the engine), config.json and model.safetensors (the weights, fp32, as
transformers names them) and golden.safetensors (what the reference computed). Everything runs twice, in fp32 and in
double. The double run is the class's own code with each of its casts to fp32 lifted to double (see `lifted`).

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses
import json
import math
import pathlib
import types

import numpy
import safetensors
import safetensors.torch
import torch
import transformers

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "fidelity" / "golden"
TRAJECTORY_STEPS = 20


class LiftedTorch(types.ModuleType):
    """The torch module with double where the code says fp32."""

    def __getattr__(self, name):
        return torch.float64 if name in ("float32", "float") else getattr(torch, name)


@contextlib.contextmanager
def lifted(modules, active):
    """While active, code of `modules` that asks for torch.float32, torch.float or .float() gets double."""
    if not active:
        yield
        return
    proxy = LiftedTorch("torch")
    kept = [(module, module.torch) for module in modules if hasattr(module, "torch")]
    to_float = torch.Tensor.float
    try:
        for module, _ in kept:
            module.torch = proxy
        torch.Tensor.float = torch.Tensor.double
        yield
    finally:
        torch.Tensor.float = to_float
        for module, original in kept:
            module.torch = original


@dataclasses.dataclass
class Case:
    name: str
    workload: str
    overrides: dict  # of the engine's config, dotted keys
    rows: int  # sequences of a step
    vocabulary: int  # token ids are below
    length: int
    make: object  # () -> model, built inside `lifted`
    modules: list  # whose fp32 is lifted
    trajectory: bool = False
    prepare: object = None  # (state dict) -> None: changes weights before anything runs
    losses: object = None  # (model, ids, labels) -> (per-token losses, objective, logits); default: cross entropy
    rename: object = None  # parameter name -> stored name, or None to leave it out
    split: object = None  # (stored name, tensor) -> list of (stored name, tensor)
    after_step: object = None  # (model) -> None, after every training step


def parts(case, name, value):
    return case.split(name, value) if case.split else [(name, value)]


def plain_losses(model, ids, labels):
    logits = model(input_ids=ids, use_cache=False).logits
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each, each.mean(), logits


def named_parameters(case, model):
    """Trained parameters under the names they are stored by."""
    for name, parameter in model.named_parameters():
        stored = case.rename(name) if case.rename else name
        if stored is not None:
            yield stored, parameter


def rate(schedule, step):
    """The engine's schedule from its own description: linear warm-up, cosine (workloads.md 8.3)."""
    peak, end, warmup, decay = (schedule[k] for k in ("peak", "end", "warmup", "decay"))
    ahead = 1 if schedule["form"] == "above_zero" else 0
    if step < warmup:
        return peak * (step + ahead) / (warmup + ahead)
    last = decay + (warmup if schedule["from"] == "warmup" else 0)
    if step > last:
        return end
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (last - warmup)))


def trajectory(case, model, batches, schedule):
    decayed = [p for n, p in named_parameters(case, model) if p.dim() >= 2 and not n.endswith("bias")]
    plain = [p for n, p in named_parameters(case, model) if not (p.dim() >= 2 and not n.endswith("bias"))]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
        lr=1.0, betas=(schedule["beta_1"], schedule["beta_2"]), eps=schedule["epsilon"], foreach=False)
    losses, norms = [], []
    for step, (ids, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate(schedule, step)
        optimizer.zero_grad()
        each, objective, _ = (case.losses or plain_losses)(model, ids, labels)
        objective.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(decayed + plain, schedule["clip"], foreach=False)))
        losses.append(float(each.mean()))
        optimizer.step()
        if case.after_step:
            case.after_step(model)
    return losses, norms


SCHEDULE = {"peak": 0.01, "end": 0.001, "warmup": 4, "decay": 24, "beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-5,
            "weight_decay": 0.1, "clip": 0.5}


def record(case, seed, kinds=("f32", "f64")):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    folder = GOLDEN / case.workload / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = case.make()
    state = {}
    for name, value in model.state_dict().items():
        stored = case.rename(name) if case.rename else name
        if stored is None:
            continue
        state[name] = torch.randn(value.shape) * 0.25 + (1.0 if value.dim() == 1 and "norm" in name else 0.0)
    if case.prepare:
        case.prepare(state)
    stored_state = {part: value.contiguous() for n, v in state.items()
                    for part, value in parts(case, case.rename(n) if case.rename else n, v)}
    safetensors.torch.save_file(stored_state, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False) if hasattr(model, "config") else "{}")

    generator = numpy.random.RandomState(seed)
    steps = TRAJECTORY_STEPS if case.trajectory else 1
    tokens = torch.tensor(generator.randint(0, case.vocabulary, (steps, case.rows, case.length + 1)))
    schedule = dict(SCHEDULE, form=case.overrides.get("train.warmup_form", "from_zero"),
                    **{"from": case.overrides.get("train.decay_from", "start")})
    golden = {"tokens": tokens.to(torch.int32)}
    for kind in kinds:
        double = kind == "f64"
        dtype = torch.float64 if double else torch.float32
        with lifted(case.modules, double):
            model = case.make().to(dtype)
            model.load_state_dict({n: v.to(dtype) for n, v in state.items()}, strict=False)
            model.train()
            batches = [(row[:, :-1], row[:, 1:]) for row in tokens]
            ids, labels = batches[0]
            each, objective, logits = (case.losses or plain_losses)(model, ids, labels)
            objective.backward()
            assert logits.dtype == dtype and each.dtype == dtype
            golden[f"{kind}.logits"] = logits.detach().flatten(0, 1)
            golden[f"{kind}.losses"] = each.detach().flatten()
            squares = 0.0
            for name, parameter in named_parameters(case, model):
                gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
                for part, value in parts(case, name, gradient.detach().clone()):
                    golden[f"{kind}.gradient.{part}"] = value
                squares += float(gradient.double().pow(2).sum())
            golden[f"{kind}.norm"] = torch.tensor([math.sqrt(squares)], dtype=dtype)
            if case.trajectory:
                model.load_state_dict({n: v.to(dtype) for n, v in state.items()}, strict=False)
                losses, norms = trajectory(case, model, batches, schedule)
                golden[f"{kind}.trajectory.losses"] = torch.tensor(losses, dtype=torch.float64)
                golden[f"{kind}.trajectory.norms"] = torch.tensor(norms, dtype=torch.float64)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__,
                "safetensors": safetensors.__version__, "numpy": numpy.__version__}
    safetensors.torch.save_file({n: v.contiguous() for n, v in golden.items()}, folder / "golden.safetensors", versions)
    overrides = dict(case.overrides)
    overrides.update({"train.learning_rate": SCHEDULE["peak"], "train.end_learning_rate": SCHEDULE["end"],
                      "train.warmup_steps": SCHEDULE["warmup"], "train.decay_steps": SCHEDULE["decay"],
                      "train.max_steps": 1000, "train.clip_norm": SCHEDULE["clip"],
                      "train.epsilon": SCHEDULE["epsilon"], "train.weight_decay": SCHEDULE["weight_decay"],
                      "model.sequence_length": case.length, "evaluation.every_samples": 1,
                      "evaluation.skip_first": 0})
    (folder / "case.json").write_text(json.dumps(
        {"workload": case.workload, "rows": case.rows, "steps": steps, "versions": versions,
         "overrides": {k: v if isinstance(v, str) else json.dumps(v) for k, v in overrides.items()}},
        indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.workload}/{case.name}: {sum(v.numel() for v in state.values())} weights, {size // 1000} kB, "
          f"loss {float(golden['f64.losses'].mean()):.6f}, norm {float(golden['f64.norm']):.6f}")
