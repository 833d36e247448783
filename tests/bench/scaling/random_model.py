"""A model of a given shape with random weights, in bf16, and a tokenizer from elsewhere: for times and memory alone."""

import shutil
from pathlib import Path

SEED = 1


def make(shape: Path, tokenizer: Path, folder: Path) -> Path:
    """Makes the model of the config.json `shape` in `folder`, unless it is there; the tokenizer is that of a model's
    directory."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(SEED)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(shape), dtype=torch.bfloat16)
    model.save_pretrained(unfinished, max_shard_size="1TB")
    shutil.copy(tokenizer / "tokenizer.json", unfinished)
    unfinished.rename(folder)
    return folder
