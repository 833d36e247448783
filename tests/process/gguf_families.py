"""GGUF of small models of all families, against the directories that they were made of.

    gguf_families.py MODELS LAUNCH OUT

writes GGUF of each directory in MODELS/names.json as F32 to OUT, as the program does (LAUNCH has its scripts), and
prints JSON by name: {"refused": REASON}, or {"notes": [...], "tensors": N, "differ": [NAMES], "metadata": {KEY: [as
config.json has it, as read]} of those that differ, "transformers" and "llama.cpp": the largest difference of two
log-probabilities from those of the directory, computed by these of the file}. A Gemma with a query_pre_attn_scalar
that llama.cpp does not know is written once more as NAME:known, with one that it does; VARIANTS are others that are
written once more. Without the package xllamacpp, which has llama.cpp in it, "llama.cpp" is null.

Names, orders and keys are spelled out here, not taken from the package that writes them.
"""

import io
import json
import math
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

try:
    import xllamacpp
except ImportError:
    xllamacpp = None

MODELS, LAUNCH, OUT = map(Path, sys.argv[1:])
WRITER = compile("".join((LAUNCH / "commands/export" / name).read_text(encoding="utf-8")
                         for name in ("gguf_families.py", "gguf_export.py")), "gguf", "exec")
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "gemma3_text": "gemma3"}

LLAMA_BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
GEMMA_BLOCK = {
    **LLAMA_BLOCK, "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm"}
GPT2_BLOCK = {
    "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
OUTSIDE = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm"}


def written(name, folder, out):
    """The writer's answer, or the reason for which it ends."""
    request = {"model": str(folder), "name": f"{name} of the tests", "out": str(out), "type": "f32", "verify": True}
    streams = sys.stdin, sys.stdout
    sys.stdin, sys.stdout = io.StringIO(json.dumps(request)), io.StringIO()
    try:
        exec(WRITER, {"__name__": "gguf"})
        return json.loads(sys.stdout.getvalue())
    except SystemExit as reason:
        return {"refused": str(reason)}
    finally:
        sys.stdin, sys.stdout = streams


def neighbors(rows, heads):
    """From the pairs (i, i + e/2) of each head of size e to (2 i, 2 i + 1)."""
    size = rows.shape[0] // heads
    order = [head * size + pair + half * size // 2
             for head in range(heads) for pair in range(size // 2) for half in (0, 1)]
    return rows[order]


def expected_tensors(folder, config, kind):
    """By llama.cpp's name."""
    tensors = {}
    for name, values in load_file(folder / "model.safetensors").items():
        name = name.replace("language_model.model.", "model.").replace("model.language_model.", "model.")
        if name.startswith(("vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                            "model.multi_modal_projector.")):
            continue
        module, ending = name.rsplit(".", 1)
        parts = module.split(".")
        numbers = [part for part in parts if part.isdigit()]
        if numbers:
            inside = ".".join(parts[parts.index(numbers[0]) + 1:])
            table = GPT2_BLOCK if kind == "gpt2" else GEMMA_BLOCK if "gemma" in kind else LLAMA_BLOCK
            target = f"blk.{numbers[0]}.{table[inside]}"
        else:
            target = OUTSIDE[module]
        if "gemma" in kind and "norm" in target:
            values = 1 + values
        if kind == "gpt2" and ending == "weight" and ".c_" in name:
            values = np.transpose(values)
        if kind in ("llama", "mistral") and target.endswith("attn_q"):
            values = neighbors(values, config["num_attention_heads"])
        if kind in ("llama", "mistral") and target.endswith("attn_k"):
            values = neighbors(values, config["num_key_value_heads"])
        tensors[f"{target}.{ending}"] = values
    rope = config.get("rope_parameters", {})
    if rope.get("rope_type") == "longrope":
        tensors["rope_factors_long.weight"] = np.float32(rope["long_factor"])
        tensors["rope_factors_short.weight"] = np.float32(rope["short_factor"])
    if rope.get("rope_type") == "llama3":
        tensors["rope_freqs.weight"] = llama3_divisors(config, rope)
    return tensors


def llama3_divisors(config, rope):
    plain = rope["rope_theta"] ** (-torch.arange(0, config["head_dim"], 2).double() / config["head_dim"])
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](LlamaConfig(**config), "cpu")
    return (plain / scaled.double()).float().numpy()


def expected_metadata(config, kind):
    """By key without the architecture; None: absent."""
    if kind == "gpt2":
        return {"context_length": config["n_positions"], "embedding_length": config["n_embd"],
                "block_count": config["n_layer"], "feed_forward_length": 4 * config["n_embd"],
                "attention.head_count": config["n_head"],
                "attention.layer_norm_epsilon": config["layer_norm_epsilon"]}
    rope = config["rope_parameters"].get("full_attention", config["rope_parameters"])
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    keys = {
        "context_length": config["max_position_embeddings"], "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"], "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads, "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": head, "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "rope.dimension_count": int(head * rope.get("partial_rotary_factor", 1)), "rope.freq_base": rope["rope_theta"],
        "rope.scaling.type": rope["rope_type"] if rope["rope_type"] in ("linear", "yarn") else None,
        "rope.scaling.factor": rope["factor"] if rope["rope_type"] in ("linear", "yarn") else None,
        "rope.scaling.attn_factor": None, "attention.sliding_window": None, "vocab_size": config["vocab_size"],
        "rope.scaling.original_context_length": rope.get("original_max_position_embeddings"),
        "rope.scaling.yarn_beta_fast": rope.get("beta_fast"), "rope.scaling.yarn_beta_slow": rope.get("beta_slow"),
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "rope.freq_base_swa": None,
        "attention.sliding_window_pattern": None}
    if rope["rope_type"] == "llama3":  # in rope_freqs
        keys["rope.scaling.original_context_length"] = None
    if rope["rope_type"] == "yarn" and rope.get("attention_factor"):
        # llama.cpp multiplies by YaRN's own.
        keys["rope.scaling.attn_factor"] = rope["attention_factor"] / (0.1 * math.log(rope["factor"]) + 1)
    if rope["rope_type"] == "longrope":
        stretched = config["max_position_embeddings"] / rope["original_max_position_embeddings"]
        keys["rope.scaling.attn_factor"] = math.sqrt(
            1 + math.log(stretched) / math.log(rope["original_max_position_embeddings"]))
    if kind == "phi3":
        keys["attention.sliding_window"] = config["sliding_window"] or 0
        keys["rope.scaling.original_context_length"] = config["original_max_position_embeddings"]
    if "gemma" in kind:
        keys["attention.sliding_window"] = config["sliding_window"]
    if kind == "gemma2":
        for key in ("attn_logit_softcapping", "final_logit_softcapping"):
            keys[key] = config[key]
    if kind.startswith("gemma3"):
        keys["attention.sliding_window_pattern"] = 3  # window, window, global, window
        keys["rope.freq_base_swa"] = config["rope_parameters"]["sliding_attention"]["rope_theta"]
    return keys


def differing_keys(reader, expected, arch):
    differ = {}
    for key, value in {**{f"{arch}.{key}": value for key, value in expected.items()},
                       "general.architecture": arch}.items():
        found = reader.fields[key].contents() if key in reader.fields else None
        same = math.isclose(found, value, rel_tol=1e-6) if isinstance(found, float) and value else found == value
        if not same:
            differ[key] = [value, found]
    return differ


def text_of(tokens):
    return torch.randint(3, 320, (tokens,), generator=torch.Generator().manual_seed(tokens)).tolist()


def log_probabilities(model, tokens):
    """Of what comes after a text of so many tokens."""
    with torch.no_grad():
        return torch.log_softmax(model.eval()(torch.tensor([text_of(tokens)])).logits[0, -1].double(), -1).numpy()


def lengths_of(notes):
    """How long texts are that the file should compute as the directory does."""
    if any("sliding window" in note for note in notes):
        return [5]
    if any("long rotary factors" in note for note in notes):
        return [40]  # llama.cpp's context is longer than 32, so it takes the long ones
    return [5, 40]


def by_transformers(model, folder, file, name):
    """Of the keys in GGUF transformers takes those that these models need; others get the directory's config.json."""
    all_taken = name in ("gpt2", "llama_tied", "llama_dynamic_rope", "qwen2", "mistral", "phi3")
    config = (AutoConfig.from_pretrained(file.parent, gguf_file=file.name) if all_taken
              else AutoConfig.from_pretrained(folder).get_text_config())
    if config.model_type == "gpt2":
        config.n_positions = config.n_ctx  # where transformers leaves GGUF's context_length
    found = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, config=config, dtype=torch.float32)
    return max(np.abs(log_probabilities(model, tokens) - log_probabilities(found, tokens)).max()
               for tokens in ([5] if name in ("mistral", "phi3") else [5, 40]))


def by_llama_cpp(model, file, lengths):
    if xllamacpp is None:
        return None
    options = xllamacpp.CommonParams()
    options.model.path = str(file)
    options.n_ctx = options.n_batch = options.n_ubatch = 128
    options.n_parallel = 1
    options.warmup = options.fit_params = False
    options.verbosity = 0
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(options)
    largest = 0
    for tokens in lengths:
        # It samples a token that is a whole character, since it reports no probabilities of others.
        answer = server.handle_completions(
            {"prompt": text_of(tokens), "n_predict": 1, "n_probs": 320, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
             "min_p": 0.0, "cache_prompt": False, "logit_bias": [[59, 1000]]})
        answer = answer if isinstance(answer, dict) else json.loads(answer)
        first = answer["choices"][0]["logprobs"]["content"][0]
        found = {token["id"]: token["logprob"] for token in first["top_logprobs"]}
        wanted = log_probabilities(model, tokens)
        largest = max(largest, *(abs(wanted[row] - found[row]) for row in range(320)))
    return largest


def compared(name, folder):
    file = OUT / f"{name.replace(':', '-')}.gguf"
    answer = written(name, folder, file)
    if "refused" in answer:
        return answer
    whole = json.loads((folder / "config.json").read_text())
    config, kind = whole.get("text_config", whole), whole.get("text_config", whole)["model_type"]
    reader = gguf.GGUFReader(file)
    found = {tensor.name: tensor for tensor in reader.tensors}
    expected = expected_tensors(folder, config, kind)
    differ = sorted(set(found) ^ set(expected))
    for key in set(found) & set(expected):
        if list(found[key].shape) != list(reversed(expected[key].shape)) or not np.allclose(
                found[key].data, expected[key], rtol=1e-6 if "rope" in key else 0, atol=0):
            differ.append(key)
    arch = ARCHITECTURES.get(kind, kind)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {"notes": answer["notes"], "tensors": len(found), "differ": differ,
            "metadata": differing_keys(reader, expected_metadata(config, kind), arch),
            "transformers": by_transformers(model, folder, file, name),
            "llama.cpp": by_llama_cpp(model, file, lengths_of(answer["notes"]))}


def changed(name, folder, change_config, name_of=lambda tensor: tensor):
    """A copy with another config of the text model, and other names of tensors."""
    copy = OUT / name.replace(":", "-")
    copy.mkdir()
    shutil.copy(folder / "tokenizer.json", copy)
    save_file({name_of(tensor): values for tensor, values in load_file(folder / "model.safetensors").items()},
              copy / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    change_config(config.get("text_config", config))
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def set_known_scale(config):
    config["query_pre_attn_scalar"] = config["head_dim"]


def set_no_window(config):
    set_known_scale(config)
    config["sliding_window"] = None


def name_of_module(tensor):
    moved = {"language_model.model.": "model.language_model.", "vision_tower.": "model.vision_tower.",
             "multi_modal_projector.": "model.multi_modal_projector."}
    prefix = next(prefix for prefix in moved if tensor.startswith(prefix))
    return moved[prefix] + tensor.removeprefix(prefix)


VARIANTS = {
    "gemma2": {"no_window": (set_no_window,)},
    "gemma3_with_vision": {"modules": (set_known_scale, name_of_module)}}  # named as transformers' modules are


def main():
    answers = {}
    for name in json.loads((MODELS / "names.json").read_text()):
        answers[name] = compared(name, MODELS / name)
        variants = dict(VARIANTS.get(name, {}))
        if "query_pre_attn_scalar" in answers[name].get("refused", ""):
            variants["known"] = (set_known_scale,)
        for variant, changes in variants.items():
            key = f"{name}:{variant}"
            answers[key] = compared(key, changed(key, MODELS / name, *changes))
    json.dump(answers, sys.stdout)


main()
