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
ALWAYS_F32 = {TENSOR.POS_EMBD}


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
    """The kind of the rotary scaling, the base, and the parameters; of Gemma 3's two sets that of its global layers."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get("full_attention", rope)
    theta = value({**config, **{key: rope[key] for key in ("rope_theta",) if key in rope}}, "rope_theta", default=10000.0)
    return rope.get("rope_type", rope.get("type", "default")), theta, rope


def head_dim(config):
    return value(config, "head_dim", default=config["hidden_size"] // config["num_attention_heads"])


def query_heads(config):
    return config["num_attention_heads"]


def key_heads(config):
    return value(config, "num_key_value_heads", default=config["num_attention_heads"])


def rotated(config):
    """How many entries of a head positions turn."""
    rope = rope_of(config)[2]
    return int(head_dim(config) * value(config, "partial_rotary_factor", default=rope.get("partial_rotary_factor", 1.0)))


def original_context(config):
    return value({**rope_of(config)[2], **config}, "original_max_position_embeddings", "max_position_embeddings")


def add_decoder(writer, config, kinds=("default", "linear", "llama3", "yarn")):
    """What all families after LLaMA have; llama.cpp's architecture scales rotary positions in these ways."""
    kind, theta, rope = rope_of(config)
    if kind not in kinds:
        sys.exit(f"rope scaling of the type '{kind}'")
    writer.add_context_length(exact_context(config))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(query_heads(config))
    writer.add_head_count_kv(key_heads(config))
    writer.add_layer_norm_rms_eps(value(config, "rms_norm_eps", default=1e-6))
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_rope_dimension_count(rotated(config))
    writer.add_rope_freq_base(theta)
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif kind == "yarn":
        add_yarn(writer, config, rope)


def add_yarn(writer, config, rope):
    # Both have 0.1 log(factor) + 1 where nothing else is said.
    for key in ("attention_factor", "mscale", "mscale_all_dim", "truncate"):
        if rope.get(key) is not None:
            sys.exit(f"rope scaling of the type 'yarn' with {key}")
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_rope_scaling_orig_ctx_len(original_context(config))
    writer.add_rope_scaling_yarn_beta_fast(value(rope, "beta_fast", default=32))
    writer.add_rope_scaling_yarn_beta_slow(value(rope, "beta_slow", default=1))


def exact_context(config):
    """The longest text that llama.cpp computes as the model: its architectures for LLaMA (and Mistral) and Qwen have no
    windows, and a text that fits the window does not need one."""
    context = config["max_position_embeddings"]
    window = config.get("sliding_window")
    has_window = config.get("use_sliding_window", config["model_type"] == "mistral")
    if config["model_type"] in ("mistral", "qwen2", "qwen3") and window and has_window:
        return min(context, window)
    return context


def llama3_factors(config):
    """What llama.cpp divides each rotary frequency by, for the scaling of Llama 3.1."""
    kind, theta, rope = rope_of(config)
    if kind != "llama3":
        return {}
    width, original = head_dim(config), rope["original_max_position_embeddings"]
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    wavelengths = 2 * math.pi * theta ** (np.arange(0, width, 2, dtype=np.float64) / width)
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return {TENSOR.ROPE_FREQS: (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)}


def add_phi3(writer, config):
    add_decoder(writer, config, kinds=("default", "longrope", "su"))
    kind, _, rope = rope_of(config)
    writer.add_rope_scaling_orig_ctx_len(original_context(config))
    writer.add_sliding_window(config.get("sliding_window") or 0)
    if kind == "default":
        return
    original = original_context(config)
    scale = config["max_position_embeddings"] / original
    writer.add_rope_scaling_attn_factors(
        value(rope, "attention_factor", default=math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0))


def longrope_factors(config):
    kind, _, rope = rope_of(config)
    if kind not in ("longrope", "su"):
        return {}
    return {TENSOR.ROPE_FACTORS_LONG: np.array(rope["long_factor"], np.float32),
            TENSOR.ROPE_FACTORS_SHORT: np.array(rope["short_factor"], np.float32)}


def require_gemma_scale(config):
    """llama.cpp scales queries by the head's size, and of the 27B models by d_model / heads."""
    scale, largest = value(config, "query_pre_attn_scalar", default=256), {"gemma2": 46}.get(config["model_type"], 62)
    expected = head_dim(config)
    if config["num_hidden_layers"] == largest:
        expected = config["hidden_size"] // config["num_attention_heads"]
    if scale != expected:
        sys.exit(f"query_pre_attn_scalar {scale}, where llama.cpp has {expected}")


def require_pattern(config, period):
    """Each `period`-th layer is global, all others are local."""
    expected = ["full_attention" if (layer + 1) % period == 0 else "sliding_attention"
                for layer in range(config["num_hidden_layers"])]
    if config.get("layer_types", expected) != expected:
        sys.exit(f"layer_types in which not each {period}-th layer alone is global")


def add_gemma2(writer, config):
    add_decoder(writer, config, kinds=("default",))
    require_gemma_scale(config)
    require_pattern(config, 2)
    if not config.get("tie_word_embeddings", True):
        sys.exit("a head of its own, which llama.cpp's Gemma 2 has not")
    writer.add_sliding_window(value(config, "sliding_window", default=4096))
    writer.add_attn_logit_softcapping(value(config, "attn_logit_softcapping", default=50.0))
    writer.add_final_logit_softcapping(value(config, "final_logit_softcapping", default=30.0))


def add_gemma3(writer, config):
    add_decoder(writer, config, kinds=("default", "linear"))
    require_gemma_scale(config)
    period = value(config, "sliding_window_pattern", "_sliding_window_pattern", default=6)
    if "full_attention" in config.get("layer_types", []):
        period = config["layer_types"].index("full_attention") + 1
    require_pattern(config, period)
    writer.add_sliding_window(value(config, "sliding_window", default=4096))
    if period != 6:  # llama.cpp's own
        writer.add_sliding_window_pattern(period)
    local = (config.get("rope_parameters") or {}).get("sliding_attention", {})
    writer.add_rope_freq_base_swa(value({**config, "of_local": local.get("rope_theta")}, "of_local", "rope_local_base_freq",
                                        default=10000.0))


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


def transposed(values, config):
    return values.T if values.ndim == 2 else values


def plus_one(values, config):
    return values + 1


@dataclass
class Family:
    """A model_type of config.json: llama.cpp's architecture, its hyper-parameters, and which tensors it stores otherwise."""

    arch: ARCH
    add_hyper_parameters: Callable
    layers: str = "num_hidden_layers"  # the key of their number
    # By tensor: from the checkpoint's values, f32, to llama.cpp's.
    changes: dict = field(default_factory=dict)
    skipped: tuple = (".rotary_emb.inv_freq",)  # endings of names that have no place in GGUF
    factors: Callable = lambda config: {}  # tensors that are made of the config
    defaults: dict = field(default_factory=dict)  # of what published configs leave out


PERMUTED = {TENSOR.ATTN_Q: lambda values, config: interleaved(values, query_heads(config)),
            TENSOR.ATTN_K: lambda values, config: interleaved(values, key_heads(config))}
NORMS = (TENSOR.OUTPUT_NORM, TENSOR.ATTN_NORM, TENSOR.ATTN_POST_NORM, TENSOR.FFN_PRE_NORM, TENSOR.FFN_POST_NORM)
FAMILIES = {
    "gpt2": Family(
        ARCH.GPT2, add_gpt2, "n_layer",
        changes=dict.fromkeys((TENSOR.ATTN_QKV, TENSOR.ATTN_OUT, TENSOR.FFN_UP, TENSOR.FFN_DOWN), transposed),
        skipped=(".attn.bias", ".attn.masked_bias")),
    "llama": Family(ARCH.LLAMA, add_decoder, changes=PERMUTED, factors=llama3_factors),
    "mistral": Family(ARCH.LLAMA, add_decoder, changes=PERMUTED, factors=llama3_factors),
    "qwen2": Family(ARCH.QWEN2, add_decoder, factors=llama3_factors),
    "qwen3": Family(ARCH.QWEN3, add_decoder, factors=llama3_factors),
    "phi3": Family(ARCH.PHI3, add_phi3, factors=longrope_factors),
    "gemma2": Family(ARCH.GEMMA2, add_gemma2, changes=dict.fromkeys(NORMS, plus_one), skipped=("lm_head.weight",)),
    "gemma3_text": Family(
        ARCH.GEMMA3, add_gemma3, changes=dict.fromkeys((*NORMS, TENSOR.ATTN_Q_NORM, TENSOR.ATTN_K_NORM), plus_one),
        defaults=dict(num_attention_heads=8, num_key_value_heads=4, head_dim=256, max_position_embeddings=131072,
                      rope_theta=1e6)),
}


def text_config(config):
    """That of the text model, where there is one for pictures too: llama.cpp keeps the latter in a file of its own."""
    return {"model_type": "gemma3_text", **config["text_config"]} if config["model_type"] == "gemma3" else config


def text_name(name):
    """As the text model alone would have it; None for tensors of other models."""
    for prefix in ("language_model.model.", "model.language_model."):
        if name.startswith(prefix):
            return "model." + name.removeprefix(prefix)
    if "vision_tower." in name or "multi_modal_projector." in name:
        return None
    return name.removeprefix("language_model.")


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
        source_name = text_name(source)
        if source_name is None or source_name.endswith(family.skipped):
            continue
        found = names.get_type_and_name(source_name, try_suffixes=(".weight", ".bias"))
        if found is None:
            sys.exit(f"a tensor '{source}' that has no name in GGUF")
        key, name = found
        change = family.changes.get(key, lambda values, _: values)
        kind = type_of(key, checkpoint.dtype(source), len(shape) == 1, wanted)
        tensors.append(Tensor(name, kind, tuple(reversed(shape) if change is transposed else shape),
                              lambda source=source, change=change: change(checkpoint.read(source), config)))
    for key, factors in family.factors(config).items():
        name = f"{gguf.TENSOR_NAMES[key]}.weight"
        tensors.append(Tensor(name, TYPE.F32, factors.shape, lambda factors=factors: factors))
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
    config = text_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    family = FAMILIES.get(config["model_type"])
    if family is None:
        sys.exit(f"a model of the family '{config['model_type']}'; those that llama.cpp has: {', '.join(FAMILIES)}")
    config = {**family.defaults, **config}
    checkpoint = Checkpoint(folder)
    tensors = tensors_of(checkpoint, family, config, request["type"])
    embedding = f"{gguf.TENSOR_NAMES[TENSOR.TOKEN_EMBD]}.weight"
    rows = next(tensor.shape[0] for tensor in tensors if tensor.name == embedding)
    write(folder, out, family, config, tensors, rows)
    if request["verify"]:
        verify(out, tensors)
    json.dump({"tensors": len(tensors), "type": main_type(tensors).name}, sys.stdout)


main()
