"""A model of a given shape with random weights, in bf16, and a tokenizer from elsewhere: for times and memory alone."""

import json
import shutil
from pathlib import Path

SEED = 1


def shapes_of(config: dict) -> dict[str, list[int]]:
    """Of every tensor of a Llama's checkpoint."""
    if config["model_type"] != "llama":
        raise SystemExit(f"expected a config.json of model_type llama, found {config['model_type']}")
    width, hidden, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head = config.get("head_dim", width // heads)
    queries, pairs = heads * head, config.get("num_key_value_heads", heads) * head
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width]}
    if not config.get("tie_word_embeddings", False):
        shapes["lm_head.weight"] = [config["vocab_size"], width]
    for layer in range(config["num_hidden_layers"]):
        of_layer = {
            "self_attn.q_proj": [queries, width],
            "self_attn.k_proj": [pairs, width],
            "self_attn.v_proj": [pairs, width],
            "self_attn.o_proj": [width, queries],
            "mlp.gate_proj": [hidden, width],
            "mlp.up_proj": [hidden, width],
            "mlp.down_proj": [width, hidden],
            "input_layernorm": [width],
            "post_attention_layernorm": [width],
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in of_layer.items()}
    return shapes


def make(shape: Path, tokenizer: Path, folder: Path) -> Path:
    """Makes the model of the config.json `shape` in `folder`, unless it is there; the tokenizer is that of a model's
    directory."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    config = json.loads(shape.read_text())
    weights = {
        name: torch.ones(size, dtype=torch.bfloat16)
        if "norm" in name
        else torch.empty(size, dtype=torch.bfloat16).normal_(std=0.02)
        for name, size in shapes_of(config).items()
    }
    save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
    (unfinished / "config.json").write_text(json.dumps(config, indent=2))
    shutil.copy(tokenizer / "tokenizer.json", unfinished)
    unfinished.rename(folder)
    return folder
