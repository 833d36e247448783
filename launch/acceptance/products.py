"""The matrix products of a model's blocks, alone: what a step could be at most.

    python3 products.py CONFIG.json DEVICE DTYPE ROWS...

prints JSON: {"ROWS": Tflop/s}, of one block's products at so many rows, by torch.
"""

import json
import sys
import time
from pathlib import Path

import torch

SECONDS = 0.5  # of each, at least


def matrices(config: dict) -> list[tuple[int, int]]:
    """Inputs and outputs of a LLaMA block's."""
    d, f = config["hidden_size"], config["intermediate_size"]
    kv = d // config["num_attention_heads"] * config["num_key_value_heads"]
    return [(d, d), (d, kv), (d, kv), (d, d), (d, f), (d, f), (f, d)]


def tflops(config: dict, device: str, dtype: torch.dtype, rows: int) -> float:
    shapes = matrices(config)
    weights = [torch.randn(inputs, outputs, device=device).to(dtype) for inputs, outputs in shapes]
    given = {width: torch.randn(rows, width, device=device).to(dtype) for width, _ in shapes}

    def seconds(times: int) -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(times):
            for weight in weights:
                torch.mm(given[weight.shape[0]], weight)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    seconds(3)
    times = 5
    while (taken := seconds(times)) < SECONDS:
        times = max(2 * times, int(times * SECONDS / max(taken, 1e-6)))
    operations = 2 * rows * sum(inputs * outputs for inputs, outputs in shapes)
    return operations * times / taken / 1e12


def main() -> None:
    config, device, dtype, *rows = sys.argv[1:]
    # As the program asks for: sums in f32.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    shape = json.loads(Path(config).read_text())
    print(json.dumps({row: tflops(shape, device, getattr(torch, dtype), int(row)) for row in rows}))


main()
