"""Writes a Hugging Face directory as one GGUF file, by the package gguf.

Reads {"model": DIR, "out": FILE, "type": "auto" | "f32" | "f16" | "bf16", "verify": BOOL} and writes {"tensors": N,
"type": NAME}, both as JSON. Vectors and position embeddings are F32, as llama.cpp needs them; matrices have the type
asked for, or each its own. A tensor at a time is in memory. Ends with a reason in the last line on stderr: "not
installed: ..." where the package is missing, "differs: ..." where the file does not read back as written.
"""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

try:
    import gguf
    import numpy as np
except ImportError as error:
    sys.exit(f"not installed: {error}")

ARCH, TYPE, TENSOR = gguf.MODEL_ARCH, gguf.GGMLQuantizationType, gguf.MODEL_TENSOR
FILE_TYPES = {
    TYPE.F32: gguf.LlamaFileType.ALL_F32,
    TYPE.F16: gguf.LlamaFileType.MOSTLY_F16,
    TYPE.BF16: gguf.LlamaFileType.MOSTLY_BF16,
}
ALWAYS_F32 = {TENSOR.POS_EMBD, TENSOR.ROPE_FREQS}


class Checkpoint:
    """The tensors of a directory's safetensors files, read one by one; bf16 has no type in numpy."""

    NUMPY = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}

    def __init__(self, folder):
        self.places = {}
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
            for name, entry in header.items():
                if name != "__metadata__" and entry["dtype"] in self.NUMPY:
                    self.places[name] = (path, entry["dtype"], entry["shape"], 8 + length + entry["data_offsets"][0])

    def dtype(self, name):
        return TYPE[self.places[name][1]]

    def read(self, name):
        """The tensor in f32, exactly."""
        path, dtype, shape, offset = self.places[name]
        values = np.fromfile(path, self.NUMPY[dtype], math.prod(shape), offset=offset).reshape(shape)
        if dtype == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)


# Of the config's keys: the first that is there.
def value(config, *keys, default=None):
    found = next((config[key] for key in keys if config.get(key) is not None), default)
    if found is None:
        sys.exit(f"a config.json without {keys[0]}")
    return found


def rope_of(config):
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = value({**config, **{key: rope[key] for key in ("rope_theta",) if key in rope}}, "rope_theta", default=10000.0)
    return rope.get("rope_type", rope.get("type", "default")), theta, rope


def head_dim(config):
    return value(config, "head_dim", default=config["hidden_size"] // config["num_attention_heads"])


def add_llama(writer, config):
    kind, theta, rope = rope_of(config)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(value(config, "num_key_value_heads", default=config["num_attention_heads"]))
    writer.add_layer_norm_rms_eps(value(config, "rms_norm_eps", default=1e-6))
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_rope_freq_base(theta)
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif kind not in ("default", "llama3"):
        sys.exit(f"rope scaling of the type '{kind}'")


def rope_factors(config):
    """What llama.cpp divides each rotary frequency by, for the scaling of Llama 3.1; nothing for others."""
    kind, theta, rope = rope_of(config)
    if kind != "llama3":
        return None
    width, original = head_dim(config), rope["original_max_position_embeddings"]
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    wavelengths = 2 * math.pi * theta ** (np.arange(0, width, 2, dtype=np.float64) / width)
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def interleaved(rows, heads):
    """Rows of rotary heads: transformers rotates the pairs (i, i + e/2), llama.cpp (2 i, 2 i + 1)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def add_gpt2(writer, config):
    writer.add_context_length(value(config, "n_positions", "n_ctx"))
    writer.add_embedding_length(config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_feed_forward_length(value(config, "n_inner", default=4 * config["n_embd"]))
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(value(config, "layer_norm_epsilon", default=1e-5))


def query_heads(config):
    return config["num_attention_heads"]


def key_heads(config):
    return value(config, "num_key_value_heads", default=config["num_attention_heads"])


def transposed(values, config):
    return values.T if values.ndim == 2 else values


@dataclass
class Family:
    """A model_type of config.json: llama.cpp's architecture, its hyper-parameters, and which tensors it stores otherwise."""

    arch: ARCH
    layers: str  # the key of their number
    add_hyper_parameters: Callable
    # By tensor: from the checkpoint's values, f32, to llama.cpp's.
    changes: dict = field(default_factory=dict)
    skipped: tuple = ()  # endings of names that have no place in GGUF
    rope_factors: Callable = lambda config: None


FAMILIES = {
    "gpt2": Family(
        ARCH.GPT2, "n_layer", add_gpt2,
        changes=dict.fromkeys((TENSOR.ATTN_QKV, TENSOR.ATTN_OUT, TENSOR.FFN_UP, TENSOR.FFN_DOWN), transposed),
        skipped=(".attn.bias", ".attn.masked_bias")),
    "llama": Family(
        ARCH.LLAMA, "num_hidden_layers", add_llama,
        changes={TENSOR.ATTN_Q: lambda values, config: interleaved(values, query_heads(config)),
                 TENSOR.ATTN_K: lambda values, config: interleaved(values, key_heads(config))},
        skipped=(".rotary_emb.inv_freq",), rope_factors=rope_factors),
}

# llama.cpp's names of the ways to cut a text into words, by what tokenizer.json says of its pre-tokenizer: the kinds
# of its steps and the pattern of a Split.
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
PRE_TOKENIZERS = {
    ("ByteLevel",): "gpt-2",
    ("Digits", "ByteLevel"): "smollm",
    (LLAMA3, "ByteLevel"): "llama-bpe",
    (QWEN2, "ByteLevel"): "qwen2",
}


def pre_tokenizer_of(tokenizer):
    step = tokenizer.get("pre_tokenizer") or {}
    steps = step.get("pretokenizers", [step])
    kinds = tuple(one.get("pattern", {}).get("Regex", "") if one.get("type") == "Split" else one.get("type")
                  for one in steps)
    if kinds not in PRE_TOKENIZERS:
        sys.exit(f"a pre-tokenizer that has no name here: {json.dumps(steps)[:300]}")
    return PRE_TOKENIZERS[kinds]


def is_sentence_piece(tokenizer):
    return bool(tokenizer["model"].get("byte_fallback"))


def pair_of(merge):
    return merge if isinstance(merge, list) else merge.split(" ", 1)


def scores_of(tokenizer, tokens):
    """As in a sentencepiece model: of two merges the one with the higher score comes first."""
    rank = {}
    for number, merge in enumerate(tokenizer["model"]["merges"]):
        rank.setdefault("".join(pair_of(merge)), number)
    return [-float(rank.get(token, 0)) for token in tokens]


def add_vocabulary(writer, folder, tokenizer, rows):
    if tokenizer["model"].get("type") != "BPE":
        sys.exit(f"a tokenizer of the type '{tokenizer['model'].get('type')}'")
    pieces = is_sentence_piece(tokenizer)
    tokens = [f"[PAD{row}]" for row in range(rows)]
    types = [gguf.TokenType.UNUSED] * rows
    added = {token["id"]: token for token in tokenizer.get("added_tokens", [])}
    for token, row in {**tokenizer["model"]["vocab"], **{token["content"]: row for row, token in added.items()}}.items():
        if row >= rows:
            sys.exit(f"a token '{token}', number {row}, beyond the {rows} rows of the embedding")
        tokens[row], types[row] = token, gguf.TokenType.NORMAL
        if pieces and len(token) == 6 and token.startswith("<0x"):
            types[row] = gguf.TokenType.BYTE
        if row in added:
            types[row] = gguf.TokenType.CONTROL if added[row]["special"] else gguf.TokenType.USER_DEFINED
        if token == tokenizer["model"].get("unk_token"):
            types[row] = gguf.TokenType.UNKNOWN
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default" if pieces else pre_tokenizer_of(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if pieces:
        writer.add_token_scores(scores_of(tokenizer, tokens))
        writer.add_add_space_prefix("prepend" in json.dumps([tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")]).lower())
    gguf.SpecialVocab(folder, load_merges=not pieces, n_vocab=rows).add_to_gguf(writer, quiet=True)


@dataclass
class Tensor:
    name: str  # in GGUF
    type: TYPE
    shape: tuple
    read: Callable  # its values in f32, as GGUF has them

    def stored(self):
        return gguf.quants.quantize(np.ascontiguousarray(self.read()), self.type)

    def stored_bytes(self):
        return math.prod(self.shape) * (4 if self.type == TYPE.F32 else 2)


def type_of(key, dtype, is_vector, wanted):
    if is_vector or key in ALWAYS_F32:
        return TYPE.F32
    return dtype if wanted == "auto" else TYPE[wanted.upper()]


def tensors_of(checkpoint, family, config, wanted):
    names = gguf.TensorNameMap(family.arch, config[family.layers])
    tensors = []
    for source, (_, _, shape, _) in checkpoint.places.items():
        if source.endswith(family.skipped):
            continue
        found = names.get_type_and_name(source, try_suffixes=(".weight", ".bias"))
        if found is None:
            sys.exit(f"a tensor '{source}' that has no name in GGUF")
        key, name = found
        change = family.changes.get(key, lambda values, _: values)
        kind = type_of(key, checkpoint.dtype(source), len(shape) == 1, wanted)
        tensors.append(Tensor(name, kind, tuple(reversed(shape) if change is transposed else shape),
                              lambda source=source, change=change: change(checkpoint.read(source), config)))
    factors = family.rope_factors(config)
    if factors is not None:
        name = f"{gguf.TENSOR_NAMES[TENSOR.ROPE_FREQS]}.weight"
        tensors.append(Tensor(name, TYPE.F32, factors.shape, lambda: factors))
    return tensors


def main_type(tensors):
    sizes = {}
    for tensor in tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + 1
    two_bytes = [kind for kind in (TYPE.BF16, TYPE.F16) if kind in sizes]
    return max(two_bytes, key=sizes.get) if two_bytes else TYPE.F32


def write(folder, out, family, config, tensors, rows):
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[family.arch])
    writer.add_type("model")
    writer.add_name(config.get("_name_or_path") or config["model_type"])
    writer.add_vocab_size(rows)
    writer.add_file_type(FILE_TYPES[main_type(tensors)])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    family.add_hyper_parameters(writer, config)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    add_vocabulary(writer, folder, tokenizer, rows)
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.stored_bytes(), tensor.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.stored())
    writer.close()


def verify(out, tensors):
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(out).tensors}
    if set(found) != {tensor.name for tensor in tensors}:
        sys.exit("differs: other tensors than were written")
    for tensor in tensors:
        read, stored = found[tensor.name], tensor.stored()
        if read.tensor_type != tensor.type or read.data.tobytes() != stored.tobytes():
            sys.exit(f"differs: another tensor '{tensor.name}' than was written")


def main():
    request = json.load(sys.stdin)
    folder, out = Path(request["model"]), Path(request["out"])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family = FAMILIES.get(config["model_type"])
    if family is None:
        sys.exit(f"a model of the family '{config['model_type']}'; those written here: {', '.join(FAMILIES)}")
    checkpoint = Checkpoint(folder)
    tensors = tensors_of(checkpoint, family, config, request["type"])
    embedding = f"{gguf.TENSOR_NAMES[TENSOR.TOKEN_EMBD]}.weight"
    rows = next(tensor.shape[0] for tensor in tensors if tensor.name == embedding)
    write(folder, out, family, config, tensors, rows)
    if request["verify"]:
        verify(out, tensors)
    json.dump({"tensors": len(tensors), "type": main_type(tensors).name}, sys.stdout)


main()
