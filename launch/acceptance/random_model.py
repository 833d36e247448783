"""Models of any known family with random weights, written without transformers: config.json and safetensors.

    python3 random_model.py CONFIG.json FOLDER DEVICE

writes the weights of FOLDER/ in bf16, some layers to a file, drawn on DEVICE (cpu or cuda), with CONFIG.json beside
them. What is small is made by `write` directly.
"""

import ctypes
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

SEED = 1
LAYERS_OF_A_FILE = 4
NAMES = {torch.float32: "F32", torch.bfloat16: "BF16"}


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what is drawn."""

    matrix: float = 0.02
    embedding: float = 0.5
    head: float = 0.05
    norm: float = 0.0  # around 1
    bias: float = 0.0


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    kind: str  # a field of Spread
    mean: float = 0.0


def _llama_block(config: dict, layer: int) -> dict[str, Tensor]:
    kind = config["model_type"]
    d, f = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim", d // heads)
    is_gemma = kind.startswith("gemma")
    # Gemma's norms multiply by 1 + w. Its embeddings are longer by sqrt(d): later blocks of published models have more
    # to say, and with gains near 1 none of them would change a prediction.
    one, gain = (0.0, float(4 ** (1 + layer % 3))) if is_gemma else (1.0, 1.0)
    norms = {"input_layernorm": one, "post_attention_layernorm": 0.5 * gain if is_gemma else one}
    if is_gemma:
        norms |= {"pre_feedforward_layernorm": one, "post_feedforward_layernorm": gain}
    found = {f"{name}.weight": Tensor((d,), "norm", mean) for name, mean in norms.items()}
    if kind in ("qwen3", "gemma3_text", "gemma3"):
        found |= {f"self_attn.{name}_norm.weight": Tensor((head,), "norm", one) for name in "qk"}
    if kind == "phi3":
        matrices = {"self_attn.qkv_proj": ((heads + 2 * kv_heads) * head, d), "mlp.gate_up_proj": (2 * f, d)}
    else:
        matrices = {f"self_attn.{name}_proj": (kv_heads * head, d) for name in "kv"}
        matrices |= {"self_attn.q_proj": (heads * head, d), "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d)}
    matrices |= {"self_attn.o_proj": (d, heads * head), "mlp.down_proj": (d, f)}
    found |= {f"{name}.weight": Tensor(shape, "matrix") for name, shape in matrices.items()}
    if kind == "qwen2":
        names = [f"self_attn.{name}_proj" for name in "qkv"]
        found |= {f"{name}.bias": Tensor((matrices[name][0],), "bias") for name in names}
    return found


def _with_bias(name: str, kind: str, *shape: int, outputs: int) -> dict[str, Tensor]:
    mean = 1.0 if kind == "norm" else 0.0
    return {f"{name}.weight": Tensor(shape, kind, mean), f"{name}.bias": Tensor((outputs,), "bias")}


def _gpt_block(config: dict, layer: int) -> dict[str, Tensor]:
    """GPT-2, whose matrices are stored transposed, and GPT-J, whose attention has no biases."""
    d = config["n_embd"]
    f = config.get("n_inner") or 4 * d
    found = _with_bias("ln_1", "norm", d, outputs=d)
    if config["model_type"] == "gptj":
        found |= {f"attn.{name}_proj.weight": Tensor((d, d), "matrix") for name in ("q", "k", "v", "out")}
        found |= _with_bias("mlp.fc_in", "matrix", f, d, outputs=f)
        return found | _with_bias("mlp.fc_out", "matrix", d, f, outputs=d)
    found |= _with_bias("ln_2", "norm", d, outputs=d)
    matrices = {"attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "mlp.c_fc": (d, f), "mlp.c_proj": (f, d)}
    for name, shape in matrices.items():
        found |= _with_bias(name, "matrix", *shape, outputs=shape[1])
    return found


def files_of(config: dict) -> Iterator[dict[str, Tensor]]:
    """The model's tensors, as many at a time as one file takes."""
    text = config.get("text_config", config)
    kind = text["model_type"]
    vocabulary = text["vocab_size"]
    if kind in ("gpt2", "gptj"):
        d, layers, prefix, blocks, block = text["n_embd"], text["n_layer"], "transformer.", "h", _gpt_block
        ends = {"wte.weight": Tensor((vocabulary, d), "embedding")} | _with_bias("ln_f", "norm", d, outputs=d)
        if kind == "gpt2":
            ends["wpe.weight"] = Tensor((text["n_positions"], d), "matrix")
    else:
        d, layers, blocks, block = text["hidden_size"], text["num_hidden_layers"], "layers", _llama_block
        prefix = "language_model.model." if "text_config" in config else "model."
        one = 0.0 if kind.startswith("gemma") else 1.0
        ends = {"embed_tokens.weight": Tensor((vocabulary, d), "embedding")}
        ends["norm.weight"] = Tensor((d,), "norm", one)
    first = {prefix + name: tensor for name, tensor in ends.items()}
    if kind == "gptj":
        first |= _with_bias("lm_head", "head", vocabulary, d, outputs=vocabulary)
    elif not config.get("tie_word_embeddings", kind == "gpt2" or kind.startswith("gemma")):
        first["lm_head.weight"] = Tensor((vocabulary, d), "head")
    yield first
    for begin in range(0, layers, LAYERS_OF_A_FILE):
        yield {
            f"{prefix}{blocks}.{layer}.{name}": tensor
            for layer in range(begin, min(layers, begin + LAYERS_OF_A_FILE))
            for name, tensor in block(text, layer).items()
        }


def bytes_of(config: dict) -> int:
    """Of the weights in bf16."""
    return sum(2 * torch.Size(tensor.shape).numel() for tensors in files_of(config) for tensor in tensors.values())


def _write_file(
    path: Path, tensors: dict[str, Tensor], dtype: torch.dtype, draw: Callable[[Tensor], torch.Tensor]
) -> None:
    """A file of safetensors, tensor by tensor. The package's own writer needs numpy, which torch comes without."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + dtype.itemsize * torch.Size(tensor.shape).numel()
        header[name] = {"dtype": NAMES[dtype], "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            values = draw(tensor).contiguous()
            file.write((ctypes.c_char * (values.numel() * dtype.itemsize)).from_address(values.data_ptr()))


def write(config: dict, folder: Path, spread: Spread, dtype: torch.dtype, device: str = "cpu") -> None:
    """Writes the weights, with config.json last: a folder that has it is whole."""
    generator = torch.Generator(device).manual_seed(SEED)

    def draw(tensor: Tensor) -> torch.Tensor:
        values = torch.randn(tensor.shape, generator=generator, device=device)
        return (values * getattr(spread, tensor.kind) + tensor.mean).to(dtype).cpu()

    where: dict[str, str] = {}
    for number, tensors in enumerate(files_of(config)):
        file = f"model-{number:05}.safetensors"
        _write_file(folder / file, tensors, dtype, draw)
        where |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (folder / "config.json").write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Spread(), torch.bfloat16, sys.argv[3])
