# GPT-OSS (form `submitted`) as one would write it in PyTorch for speed: what both train_vs_pytorch.py run, on CPU and GPU.
# SPDX-License-Identifier: Apache-2.0
"""Attention, experts and optimizer each come in the ways that PyTorch offers; the caller measures and takes the fastest.

attention  sdpa   scaled_dot_product_attention; the sink is one more key whose logit comes from one more channel
           plain  products, mask and softmax written out
           flex   flex_attention, itself always compiled on a GPU; the sink scales its output by sigmoid(log-sum-exp - sink)
experts    loop   tokens sorted by expert, one product per expert
           padded tokens of an expert padded to the longest, batched products
           grouped  torch.nn.functional.grouped_mm, where this PyTorch has it for the device
           permuted the same for a GPU: rows moved by index_select, whose gradient adds in parallel, and biases by a product
                    with the experts' one-hot rows, whose gradient is a product too
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


def grouped_mm(rows, weights, ends):
    """rows (R, k) times weights (E, k, n), expert e's rows end at ends[e]; older versions name it otherwise."""
    return (getattr(F, "grouped_mm", None) or torch._grouped_mm)(rows, weights, offs=ends)


class RmsNorm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


class Attention(nn.Module):
    def __init__(self, shape, window, way):
        super().__init__()
        self.heads, self.kv, self.dim = shape["heads"], shape["kv_heads"], shape["head_dim"]
        self.way = way
        self.qkv = nn.Linear(shape["hidden"], (self.heads + 2 * self.kv) * self.dim)
        self.output = nn.Linear(self.heads * self.dim, shape["hidden"])
        self.sinks = nn.Parameter(torch.zeros(self.heads))
        self.window, length = window, shape["sequence_length"]
        if way == "flex":  # prepare makes what it needs
            return
        position = torch.arange(length)
        distance = position[:, None] - position[None, :]
        seen = (distance >= 0) & (distance < (window or length))
        mask = torch.zeros(length, length).masked_fill(~seen, -math.inf)
        # The sink's key stands in front; every query sees it.
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("mask_sink", torch.cat([torch.zeros(length, 1), mask], 1), persistent=False)

    def prepare(self, device, length, masks):
        """For flex: what a query sees (itself and up to window - 1 keys before it), and the function, as `device` runs it best."""
        from torch.nn.attention import flex_attention as flex
        reach = self.window or length
        if reach not in masks:
            masks[reach] = flex.create_block_mask(lambda b, h, q, k: (q >= k) & (q - k < reach), None, None, length, length, device=device)
        self.block_mask = masks[reach]
        self.flex = torch.compile(flex.flex_attention) if str(device).startswith("cuda") else flex.flex_attention
        # Older versions know return_lse alone.
        self.with_lse = {"return_aux": flex.AuxRequest(lse=True)} if hasattr(flex, "AuxRequest") else {"return_lse": True}

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x, cos, sin):
        rows, length, _ = x.shape
        q, k, v = self.qkv(x).split([self.heads * self.dim, self.kv * self.dim, self.kv * self.dim], -1)
        q = self.rotate(q.view(rows, length, self.heads, self.dim).transpose(1, 2), cos, sin)
        k = self.rotate(k.view(rows, length, self.kv, self.dim).transpose(1, 2), cos, sin)
        v = v.view(rows, length, self.kv, self.dim).transpose(1, 2)
        scale = 1 / math.sqrt(self.dim)
        if self.way == "flex":
            o, lse = self.flex(q, k, v, block_mask=self.block_mask, scale=scale, enable_gqa=True, **self.with_lse)
            lse = getattr(lse, "lse", lse)
            o = o * torch.sigmoid(lse - self.sinks.float().view(1, -1, 1)).unsqueeze(-1).to(o.dtype)
        elif self.way == "sdpa":
            sink = (self.sinks / scale).view(1, self.heads, 1, 1).expand(rows, -1, length, -1)
            q = torch.cat([q, sink], -1)
            k = F.pad(F.pad(k, (0, 1)), (0, 0, 1, 0))
            k[:, :, 0, -1] = 1
            v = F.pad(v, (0, 1, 1, 0))  # the fused kernel wants one head size
            o = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask_sink.to(q.dtype), scale=scale, enable_gqa=True)[..., :-1]
        else:
            group = self.heads // self.kv
            q = q.reshape(rows, self.kv, group * length, self.dim)
            s = (q @ (k * scale).transpose(-1, -2)).view(rows, self.heads, length, length) + self.mask
            s = torch.cat([self.sinks.view(1, -1, 1, 1).expand(rows, -1, length, 1), s], -1)
            p = torch.softmax(s, -1)[..., 1:]
            o = (p.reshape(rows, self.kv, group * length, length) @ v).view(rows, self.heads, length, self.dim)
        return self.output(o.transpose(1, 2).reshape(rows, length, self.heads * self.dim))


def activation(hidden):
    gate, linear = hidden.chunk(2, -1)
    gate, linear = gate.clamp(max=7.0), linear.clamp(-7.0, 7.0)
    return gate * torch.sigmoid(1.702 * gate) * (linear + 1)


class Experts(nn.Module):
    def __init__(self, shape, way):
        super().__init__()
        self.experts, self.choices, self.way = shape["experts"], shape["experts_per_token"], way
        hidden, ffn = shape["hidden"], shape["ffn"]
        self.router = nn.Linear(hidden, self.experts)
        self.fc1 = nn.Parameter(torch.empty(self.experts, hidden, 2 * ffn))
        self.fc1_bias = nn.Parameter(torch.zeros(self.experts, 2 * ffn))
        self.fc2 = nn.Parameter(torch.empty(self.experts, ffn, hidden))
        self.fc2_bias = nn.Parameter(torch.zeros(self.experts, hidden))

    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        top, chosen = self.router(x).topk(self.choices, -1)
        gate = torch.softmax(top, -1, dtype=torch.float32).to(x.dtype).reshape(-1)
        order = chosen.reshape(-1).argsort(stable=True)
        expert = chosen.reshape(-1)[order]
        token = order // self.choices
        rows = x.index_select(0, token) if self.way == "permuted" else x[token]
        y = getattr(self, self.way)(rows, expert) * gate[order][:, None]
        return torch.zeros_like(x).index_add(0, token, y).view(shape)

    def loop(self, rows, expert):
        counts = torch.bincount(expert, minlength=self.experts).tolist()
        parts = []
        for e, part in enumerate(rows.split(counts)):
            hidden = torch.addmm(self.fc1_bias[e], part, self.fc1[e])
            parts.append(torch.addmm(self.fc2_bias[e], activation(hidden), self.fc2[e]))
        return torch.cat(parts)

    def padded(self, rows, expert):
        counts = torch.bincount(expert, minlength=self.experts)
        begin = counts.cumsum(0) - counts
        place = torch.arange(len(expert)) - begin[expert]
        full = rows.new_zeros(self.experts, int(counts.max()), rows.shape[-1])
        full = full.index_put((expert, place), rows)
        hidden = torch.baddbmm(self.fc1_bias[:, None], full, self.fc1)
        return torch.baddbmm(self.fc2_bias[:, None], activation(hidden), self.fc2)[expert, place]

    def grouped(self, rows, expert):
        ends = torch.bincount(expert, minlength=self.experts).cumsum(0).to(torch.int32)
        hidden = grouped_mm(rows, self.fc1, ends) + self.fc1_bias[expert]
        return grouped_mm(activation(hidden), self.fc2, ends) + self.fc2_bias[expert]

    def permuted(self, rows, expert):
        one_hot = F.one_hot(expert, self.experts)
        ends = one_hot.sum(0).cumsum(0).to(torch.int32)
        one_hot = one_hot.to(rows.dtype)
        hidden = grouped_mm(rows, self.fc1, ends) + one_hot @ self.fc1_bias
        return grouped_mm(activation(hidden), self.fc2, ends) + one_hot @ self.fc2_bias


class Layer(nn.Module):
    def __init__(self, shape, index, ways):
        super().__init__()
        window = shape["window_keys"] if index % 2 == 0 else 0
        self.norm1, self.attention = RmsNorm(shape["hidden"], 1e-5), Attention(shape, window, ways["attention"])
        self.norm2, self.experts = RmsNorm(shape["hidden"], 1e-5), Experts(shape, ways["experts"])

    def forward(self, x, cos, sin):
        x = x + self.attention(self.norm1(x), cos, sin)
        return x + self.experts(self.norm2(x))


class GptOss(nn.Module):
    """shape: the `model` object of the workload's variant. forward(ids, labels): mean loss."""

    def __init__(self, shape, ways):
        super().__init__()
        self.embedding = nn.Embedding(shape["vocabulary"], shape["hidden"])
        self.layers = nn.ModuleList(Layer(shape, i, ways) for i in range(shape["layers"]))
        self.norm = RmsNorm(shape["hidden"], 1e-5)
        self.head = nn.Linear(shape["hidden"], shape["vocabulary"], bias=False)
        half = shape["head_dim"] // 2
        angle = torch.arange(shape["sequence_length"])[:, None] * 150000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02 if "bias" not in name else 0.0)

    def prepare(self, device):
        """Once before the first call where attention is flex."""
        masks = {}
        for layer in self.layers:
            layer.attention.prepare(device, self.cos.shape[0], masks)

    def forward(self, ids, labels):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), labels.flatten())
