"""A model with changed weights as a Hugging Face directory, and what `anchorage eval` says of it."""

import shutil
from pathlib import Path

import torch
from program import Program
from safetensors.torch import load_file, save_file


def name_of(layer: int) -> str:
    """The edited weight of a Llama-like model."""
    return f"model.layers.{layer}.mlp.down_proj.weight"


def write_model(base: Path, weights: dict[int, torch.Tensor], folder: Path, dtype: torch.dtype | None = None) -> None:
    """The base with these layers' weights, all in `dtype` or in the base's."""
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(base / name, folder / name)
    tensors = load_file(base / "model.safetensors")
    changed = {name_of(layer): weight for layer, weight in weights.items()}
    for name, tensor in tensors.items():
        tensors[name] = changed.get(name, tensor).to(dtype or tensor.dtype).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def evaluate(program: Program, model: Path, comparison: Path, edits: Path) -> dict:
    """On these edits, and on the known facts and the text of compare.py's folder."""
    asked = ("--edits", edits, "--tasks", f"known={comparison / 'known.json'}")
    text = ("--heldout", comparison / "heldout.txt", "--sequence-length", 512)
    return program("eval", model, *asked, *text, "--baseline", comparison / "before.json")
