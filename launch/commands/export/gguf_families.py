"""What llama.cpp has for each family of models: its architecture, hyper-parameters, tensors that it stores otherwise,
and what it computes otherwise or not at all. The program puts this before gguf_export.py.
"""

import math
import sys
from dataclasses import dataclass, field
from typing import Callable

try:
    import gguf
    import numpy as np
except ImportError as error:
    sys.exit(f"not installed: {error}")

ARCH, TENSOR = gguf.MODEL_ARCH, gguf.MODEL_TENSOR


def beyond_llama_cpp(what):
    """Ends with what llama.cpp would compute wrongly, or not at all, whoever writes the file."""
    sys.exit(f"beyond llama.cpp: {what}")


def value(config, *keys, default=None):
    """Of the config's keys: the first that is there."""
    found = next((config[key] for key in keys if config.get(key) is not None), default)
    if found is None:
        sys.exit(f"a config.json without {keys[0]}")
    return found


def query_heads(config):
    return config["num_attention_heads"]


def key_heads(config):
    return value(config, "num_key_value_heads", default=query_heads(config))


def head_dim(config):
    return value(config, "head_dim", default=config["hidden_size"] // query_heads(config))


def rotated_entries(config):
    share = value({**config, **rope_of(config)}, "partial_rotary_factor", default=1.0)
    return int(share * head_dim(config))


def rope_of(config, layer_type="full_attention"):
    """The rotary parameters, as older and newer versions of transformers save them, with their type and theta."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get(layer_type, rope)
    kind = rope.get("rope_type", rope.get("type", "default"))
    return {**rope, "rope_type": "longrope" if kind == "su" else kind,
            "rope_theta": rope.get("rope_theta", config.get("rope_theta") or 10000.0)}


def positions_before_scaling(config):
    rope = rope_of(config)
    return value({**config, **rope}, "original_max_position_embeddings", default=config["max_position_embeddings"])


# Rotary scalings. What llama.cpp multiplies cosines and sines by is rope.scaling.attn_factor; under YaRN, that times
# the factor of YaRN's paper.


def add_default(writer, config, rope):
    pass


def add_linear(writer, config, rope):
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(rope["factor"])


def add_yarn(writer, config, rope):
    original = positions_before_scaling(config)
    factor = value(rope, "factor", default=config["max_position_embeddings"] / original)
    if rope.get("mscale") or rope.get("mscale_all_dim") or not rope.get("truncate", True):
        sys.exit("the rope scaling 'yarn' with mscale or without truncate")
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(factor)
    writer.add_rope_scaling_orig_ctx_len(original)
    of_the_paper = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
    if rope.get("attention_factor") is not None:
        writer.add_rope_scaling_attn_factors(rope["attention_factor"] / of_the_paper)
    if rope.get("beta_fast") is not None:
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
    if rope.get("beta_slow") is not None:
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])


def add_longrope(writer, config, rope):
    original = positions_before_scaling(config)
    factor = value(rope, "factor", default=config["max_position_embeddings"] / original)
    computed = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    writer.add_rope_scaling_attn_factors(value(rope, "attention_factor", default=computed))


SCALINGS = {"default": add_default, "linear": add_linear, "llama3": add_default, "yarn": add_yarn,
            "longrope": add_longrope, "dynamic": add_default}


def llama3_factors(config, rope):
    """What llama.cpp divides each rotary frequency by, for the scaling of Llama 3.1."""
    width, original = head_dim(config), rope["original_max_position_embeddings"]
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    wavelengths = 2 * math.pi * rope["rope_theta"] ** (np.arange(0, width, 2, dtype=np.float64) / width)
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def rotary_tensors(config):
    """Of the checkpoint's rotary parameters those that are tensors in GGUF."""
    rope = rope_of(config)
    if rope["rope_type"] == "llama3":
        return {TENSOR.ROPE_FREQS: llama3_factors(config, rope)}
    if rope["rope_type"] == "longrope":
        return {TENSOR.ROPE_FACTORS_LONG: np.array(rope["long_factor"], np.float32),
                TENSOR.ROPE_FACTORS_SHORT: np.array(rope["short_factor"], np.float32)}
    return {}


def scaling_notes(config):
    kind = rope_of(config)["rope_type"]
    if kind == "dynamic":
        return ["the rope scaling 'dynamic' is not known to it: a text of more than "
                f"{config['max_position_embeddings']} tokens is computed without"]
    if kind == "longrope":
        return [f"it takes the long rotary factors where its context is set to more than "
                f"{positions_before_scaling(config)} tokens, however short a text is"]
    return []


# Windows.


def windowed_layers(config):
    """Of each layer whether it sees a window alone; the rules are those of transformers."""
    layers = config["num_hidden_layers"]
    if config.get("layer_types"):
        return [kind == "sliding_attention" for kind in config["layer_types"]]
    if "sliding_window_pattern" in config:  # every so many layers one sees all
        return [(layer + 1) % config["sliding_window_pattern"] != 0 for layer in range(layers)]
    first = value(config, "max_window_layers", default=28) if "use_sliding_window" in config else 0
    return [layer >= first for layer in range(layers)]


def window(config):
    """None where no layer has one."""
    used = config.get("use_sliding_window", True) and any(windowed_layers(config))
    return config["sliding_window"] if used else None


def ignored_window_notes(config):
    width = window(config)
    if width is None or width >= config["max_position_embeddings"]:
        return []
    return [f"it has no sliding window for this family: a text of more than {width} tokens is computed without"]


def period_of(windowed):
    """p where all layers but each p-th have a window; none where they do not repeat like that."""
    periods = range(1, len(windowed) + 2)
    return next((p for p in periods if windowed == [layer % p < p - 1 for layer in range(len(windowed))]), None)


def add_windows(writer, config):
    if config["sliding_window"] is None:
        beyond_llama_cpp("Gemma without a sliding window")
    period = period_of(windowed_layers(config))
    if period is None:
        beyond_llama_cpp("'layer_types' that do not repeat with all but the last of a period having a window")
    writer.add_sliding_window(config["sliding_window"])
    if period != config["sliding_window_pattern"]:
        writer.add_sliding_window_pattern(period)


# Hyper-parameters.


def add_sizes(writer, config):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(query_heads(config))
    writer.add_head_count_kv(key_heads(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    rope = rope_of(config)
    writer.add_rope_dimension_count(rotated_entries(config))
    writer.add_rope_freq_base(rope["rope_theta"])
    SCALINGS[rope["rope_type"]](writer, config, rope)


def add_phi3(writer, config):
    if head_dim(config) * query_heads(config) != config["hidden_size"]:
        beyond_llama_cpp("heads of Phi-3 that are not as wide as the model together")
    add_sizes(writer, config)
    writer.add_rope_scaling_orig_ctx_len(positions_before_scaling(config))
    writer.add_sliding_window(config.get("sliding_window") or 0)  # 0 is how llama.cpp knows Phi-4


def check_gemma(config, layers_of_27b):
    # llama.cpp has the scale of the scores by the number of layers, not in the file.
    scale = config["query_pre_attn_scalar"]
    of_27b = config["num_hidden_layers"] == layers_of_27b
    computed = config["hidden_size"] // query_heads(config) if of_27b else head_dim(config)
    if scale != computed:
        beyond_llama_cpp(f"a query_pre_attn_scalar of {scale}, where llama.cpp computes with {computed}")


def add_gemma2(writer, config):
    check_gemma(config, layers_of_27b=46)
    add_sizes(writer, config)
    add_windows(writer, config)
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        if not config[key]:
            beyond_llama_cpp(f"Gemma 2 without {key}")
    writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    writer.add_final_logit_softcapping(config["final_logit_softcapping"])


def add_gemma3(writer, config):
    check_gemma(config, layers_of_27b=62)
    if config.get("final_logit_softcapping"):
        beyond_llama_cpp("Gemma 3 with final_logit_softcapping")
    add_sizes(writer, config)
    add_windows(writer, config)
    local = local_rope(config)
    if local["rope_type"] != "default":
        beyond_llama_cpp("Gemma 3 with a rope scaling of the layers with a window")
    if local["rope_theta"] != 10000:
        writer.add_rope_freq_base_swa(local["rope_theta"])


def local_rope(config):
    if "sliding_attention" in (config.get("rope_parameters") or {}):
        return rope_of(config, "sliding_attention")
    return {"rope_type": "default", "rope_theta": value(config, "rope_local_base_freq", default=10000.0)}


def add_gpt2(writer, config):
    writer.add_context_length(value(config, "n_positions", "n_ctx"))
    writer.add_embedding_length(config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_feed_forward_length(value(config, "n_inner", default=4 * config["n_embd"]))
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(value(config, "layer_norm_epsilon", default=1e-5))


# Changes of tensors: from the checkpoint's values, f32, to llama.cpp's.


def transposed(values, config):
    return values.T if values.ndim == 2 else values


def plus_one(values, config):
    return values + np.float32(1)


def interleaved(heads):
    """Rows of rotary heads: transformers rotates the pairs (i, i + e/2), llama.cpp in some families (2 i, 2 i + 1)."""

    def change(rows, config):
        halves = rows.reshape(heads(config), 2, rows.shape[0] // heads(config) // 2, *rows.shape[1:])
        return halves.swapaxes(1, 2).reshape(rows.shape)

    return change


@dataclass
class Family:
    """A model_type of config.json."""

    arch: ARCH
    add_hyper_parameters: Callable
    layers: str = "num_hidden_layers"  # the key of their number
    defaults: dict = field(default_factory=dict)  # of transformers, where a key of config.json is absent
    scalings: tuple = ()  # kinds of rotary scaling that llama.cpp computes for the family
    changes: dict = field(default_factory=dict)  # by tensor
    skipped: tuple = ()  # endings of names that have no place in GGUF
    notes: Callable = lambda config: []  # what llama.cpp computes otherwise
    activation: tuple = ("hidden_act", "silu", "swish")  # the key, and the names of what llama.cpp computes


NORMS = (TENSOR.ATTN_NORM, TENSOR.ATTN_POST_NORM, TENSOR.FFN_PRE_NORM, TENSOR.FFN_POST_NORM, TENSOR.ATTN_Q_NORM,
         TENSOR.ATTN_K_NORM, TENSOR.OUTPUT_NORM)
INTERLEAVED = {TENSOR.ATTN_Q: interleaved(query_heads), TENSOR.ATTN_K: interleaved(key_heads)}
GELU = ("gelu_pytorch_tanh", "gelu_new")
RMS = {"rms_norm_eps": 1e-6}
GEMMA = dict(
    add_hyper_parameters=add_gemma2, scalings=("default", "linear"), changes=dict.fromkeys(NORMS, plus_one),
    skipped=(".rotary_emb.inv_freq",), notes=scaling_notes, activation=("hidden_activation", *GELU))
GEMMA_DEFAULTS = dict(
    **RMS, num_attention_heads=8, num_key_value_heads=4, head_dim=256, query_pre_attn_scalar=256, sliding_window=4096)
GEMMA2_DEFAULTS = dict(
    **GEMMA_DEFAULTS, max_position_embeddings=8192, sliding_window_pattern=2, attn_logit_softcapping=50.0,
    final_logit_softcapping=30.0)
GEMMA3_DEFAULTS = dict(
    **GEMMA_DEFAULTS, max_position_embeddings=131072, sliding_window_pattern=6, rope_theta=1e6)
QWEN = dict(
    add_hyper_parameters=add_sizes, scalings=("default", "linear", "yarn", "dynamic"),
    skipped=(".rotary_emb.inv_freq",), notes=lambda config: scaling_notes(config) + ignored_window_notes(config))
QWEN_DEFAULTS = dict(**RMS, num_key_value_heads=32, use_sliding_window=False, sliding_window=4096)
LLAMA = dict(
    arch=ARCH.LLAMA, add_hyper_parameters=add_sizes, scalings=("default", "linear", "llama3", "yarn", "dynamic"),
    changes=INTERLEAVED, skipped=(".rotary_emb.inv_freq",))

FAMILIES = {
    "gpt2": Family(
        ARCH.GPT2, add_gpt2, layers="n_layer", scalings=("default",), activation=("activation_function", *GELU),
        changes=dict.fromkeys((TENSOR.ATTN_QKV, TENSOR.ATTN_OUT, TENSOR.FFN_UP, TENSOR.FFN_DOWN), transposed),
        skipped=(".attn.bias", ".attn.masked_bias")),
    "llama": Family(**LLAMA, defaults=RMS, notes=scaling_notes),
    "mistral": Family(
        **LLAMA, defaults=dict(**RMS, num_key_value_heads=8, sliding_window=4096),
        notes=lambda config: scaling_notes(config) + ignored_window_notes(config)),
    "qwen2": Family(ARCH.QWEN2, **QWEN, defaults=QWEN_DEFAULTS),
    "qwen3": Family(ARCH.QWEN3, **QWEN, defaults=dict(**QWEN_DEFAULTS, head_dim=128)),
    "phi3": Family(
        ARCH.PHI3, add_phi3, scalings=("default", "longrope"), skipped=(".rotary_emb.inv_freq",),
        defaults=dict(rms_norm_eps=1e-5, original_max_position_embeddings=4096, sliding_window=None),
        notes=lambda config: scaling_notes(config) + ignored_window_notes(config)),
    "gemma2": Family(ARCH.GEMMA2, **GEMMA, defaults=GEMMA2_DEFAULTS),
    "gemma3_text": Family(
        ARCH.GEMMA3, **{**GEMMA, "add_hyper_parameters": add_gemma3}, defaults=GEMMA3_DEFAULTS),
}
FAMILIES["gemma3"] = FAMILIES["gemma3_text"]  # with vision: the text model alone is written
UNUSABLE = {"gptj": "GPT-J, of which llama.cpp has the name and no implementation"}


def family_of(config):
    kind = config["model_type"]
    if kind in UNUSABLE:
        beyond_llama_cpp(UNUSABLE[kind])
    if kind not in FAMILIES:
        sys.exit(f"a model of the family '{kind}'; those written here: {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def text_config(config, family):
    """config.json of the text model, with what transformers takes where a key is absent."""
    return {**family.defaults, **config, **config.get("text_config", {}), "model_type": config["model_type"]}


def check(config, family):
    """Ends where llama.cpp would load the file and compute something else in every text."""
    key, *known = family.activation
    if value(config, key, default=known[0]) not in known:
        beyond_llama_cpp(f"the activation '{config[key]}' in the family '{config['model_type']}'")
    kind = rope_of(config)["rope_type"]
    if kind not in family.scalings:
        beyond_llama_cpp(f"the rope scaling '{kind}' in the family '{config['model_type']}'")
    biased = config.get("attention_bias") and config["model_type"] != "llama"
    if biased:
        beyond_llama_cpp(f"attention_bias in the family '{config['model_type']}'")
