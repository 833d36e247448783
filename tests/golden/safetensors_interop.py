"""The other side of tests/unit/io/model/safetensors_interop_test.cpp: files by and for the package `safetensors`.

  write FILE   writes tensors of every kind that is read, and fp32 values beside what torch makes of them
  check FILE   reads what the test wrote and fails where it is not that
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def awkward_floats() -> torch.Tensor:
    """Random bit patterns, and values half-way between two neighbors of each narrow format; no NaN."""
    generator = torch.Generator().manual_seed(7)
    bits = torch.randint(-(2**31), 2**31, (50_000,), generator=generator).to(torch.int32)
    small = (torch.randint(0, 2**18, (20_000,), generator=generator) * 2.0**-28).float()  # subnormal in f16
    ties = (torch.randint(0, 2**13, (20_000,), generator=generator) * 2.0**-4).float()
    edges = torch.tensor([0.0, -0.0, 65504.0, 65519.996, 65520.0, 65536.0, 2.0**-24, 2.0**-25, 3.4e38, -3.4e38])
    values = torch.cat([bits.view(torch.float32), small, -small, ties, -ties, edges])
    return values[~values.isnan()]


def write(path: str) -> None:
    every_f16 = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16)
    every_f16 = every_f16[~every_f16.isnan()]
    values = awkward_floats()
    save_file(
        {
            "f32": torch.tensor([[1.5, -2.0, 3.25], [0.0, 1e-40, 3e38]]),
            "f16": torch.tensor([1.5, -2.0, 6e-8], dtype=torch.float16),
            "bf16": torch.tensor([[1.5], [-2.0]], dtype=torch.bfloat16),
            "scalar": torch.tensor(4.5),
            "empty": torch.zeros(0, 3, dtype=torch.bfloat16),
            "mask": torch.tril(torch.ones(3, 3)).bool(),
            "values": values,
            "values.f16": values.to(torch.float16),
            "values.bf16": values.to(torch.bfloat16),
            "every_f16": every_f16,
            "every_f16.f32": every_f16.float(),
        },
        path,
        metadata={"format": "pt", "written by": "torch"},
    )


def check(path: str) -> None:
    expected = {
        "half": torch.tensor([0.5, -1.0, 2.0], dtype=torch.float16),
        "after an odd size": torch.tensor([[1.5, -2.0], [3.0, 4.0]]),
        "scalar": torch.tensor(-0.25, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 3),
    }
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}, file.metadata()
        assert set(file.keys()) == set(expected), file.keys()
        for name, tensor in expected.items():
            found = file.get_tensor(name)
            assert found.dtype == tensor.dtype and found.shape == tensor.shape, (name, found.dtype, found.shape)
            assert torch.equal(found, tensor), (name, found)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2])
