"""Small random models of all families with reference log-probabilities, keys and tokens from transformers.

    python3 small_models.py OUT

writes OUT/<name>/ (a Hugging Face directory with a byte-level tokenizer), OUT/names.json with the names, and
OUT/<name>.json: {"rows": [[ids]], "log_probabilities": [[[V]]] f64, "keys": {layer: [[f]] of each row's last token},
"greedy": [[ids]], "bf16": the largest error of a log-probability that transformers' own bf16 makes in 100 texts}.
"""

import copy
import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config, Gemma2ForCausalLM, Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration, Gemma3TextConfig,
    GPT2Config, GPT2LMHeadModel, GPTJConfig, GPTJForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig,
    MistralForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

VOCABULARY = 320
LLAMA = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
)
LLAMA3_ROPE = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
# Windows shorter than the longest text, a query's scale that is not the head size, heads wider than d_model / heads.
GEMMA = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, max_position_embeddings=128, sliding_window=6, query_pre_attn_scalar=24,
    bos_token_id=1, eos_token_id=2, attn_implementation="eager",
)
GEMMA3 = dict(
    **GEMMA, layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    rope_parameters=dict(
        full_attention=dict(rope_type="linear", rope_theta=1000.0, factor=4.0),
        sliding_attention=dict(rope_type="default", rope_theta=100.0)),
)
SMALL_VISION = dict(
    model_type="siglip_vision_model", hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
    image_size=8, patch_size=4, vision_use_head=False)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)
# Phi-3's own: a factor for each of the four pairs. Rows of more than 32 tokens are long.
LONGROPE = dict(
    rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=32,
    short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.2, 2.0, 5.0, 11.0])
# Windows are shorter than most of the rows.
MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=4, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)),
    "llama_tied": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=True)),
    "llama_untied_bias": lambda: LlamaForCausalLM(
        LlamaConfig(**LLAMA, tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    "llama3_rope": lambda: LlamaForCausalLM(
        LlamaConfig(**{**LLAMA, "num_key_value_heads": 1}, head_dim=16, tie_word_embeddings=True,
                    rope_parameters=LLAMA3_ROPE)),
    "llama_linear_rope": lambda: LlamaForCausalLM(
        LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.5))),
    "llama_dynamic_rope": lambda: LlamaForCausalLM(
        LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=4.0))),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**LLAMA, tie_word_embeddings=True)),
    "qwen2_upper_windows": lambda: Qwen2ForCausalLM(
        Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=8, max_window_layers=2, rope_parameters=YARN)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**LLAMA, head_dim=16, tie_word_embeddings=True)),
    "qwen3_mixed_windows": lambda: Qwen3ForCausalLM(
        Qwen3Config(**LLAMA, head_dim=8, use_sliding_window=True, sliding_window=8,
                    layer_types=["sliding_attention", "full_attention"] * 2,
                    rope_parameters=dict(**YARN, attention_factor=1.25, beta_fast=16, beta_slow=2))),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**LLAMA, head_dim=16, sliding_window=8)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**LLAMA, pad_token_id=0, sliding_window=8)),
    "phi3_longrope": lambda: Phi3ForCausalLM(
        Phi3Config(**LLAMA, pad_token_id=0, original_max_position_embeddings=32, rope_parameters=LONGROPE)),
    "gptj": lambda: GPTJForCausalLM(
        GPTJConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=4, n_head=2, rotary_dim=4, n_positions=128, bos_token_id=1,
                   eos_token_id=2)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**GEMMA, attn_logit_softcapping=4.0, final_logit_softcapping=8.0)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**GEMMA3)),
    "gemma3_with_vision": lambda: Gemma3ForConditionalGeneration(
        Gemma3Config(text_config=GEMMA3, vision_config=SMALL_VISION, mm_tokens_per_image=4,
                     attn_implementation="eager")),
    # Phi-4 mini: positions turn three quarters of a head.
    "phi4_mini": lambda: Phi3ForCausalLM(
        Phi3Config(**{**LLAMA, "num_attention_heads": 2, "num_key_value_heads": 1}, pad_token_id=0,
                   tie_word_embeddings=True, original_max_position_embeddings=32,
                   rope_parameters=dict(
                       rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                       original_max_position_embeddings=32, short_factor=[1.0, 1.0, 1.1, 1.3, 1.6, 2.0],
                       long_factor=[1.1, 1.5, 2.5, 4.0, 9.0, 15.0]))),
}

# Models whose attention is not nearly even, so that an edit of the subject's token changes what comes after it.
SHARP = ("qwen2", "phi3", "gptj", "gemma2")

# Written down rather than trained: edits of small random models succeed or fail by what their words are cut into.
MERGES = (
    'Ġ+Ġ ĠĠ+ĠĠ e+r ĠĠ+Ġ o+r e+n Ċ+ĠĠĠĠ i+n r+o a+m o+k Ġ+t d+e Ċ+ĠĠĠ r+e ok+en i+z ĊĠĠĠĠ+ĠĠĠ i+t o+n a+l o+de '
    'ode+l (+) e+d m+odel r+a Ġ+= oken+iz okeniz+er l+am Ġ+" Ġ+f p+a i+d l+a Ġ+in ro+w "+: k+e y+er la+yer '
    ')+) e+t lam+a L+A a+d c+h t+e Ġ+n ĠĠĠĠ+ĠĠĠĠ a+b c+t i+g l+i m+a p+ro t+h or+ch it+i pa+r')


def byte_level_tokenizer():
    merges = [tuple(merge.split("+")) for merge in MERGES.split()]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<pad>", "<s>", "</s>", *alphabet, *map("".join, merges)]
    assert len(tokens) == VOCABULARY
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.add_special_tokens(tokens[:3])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def down_projection(model, layer):
    if hasattr(model, "transformer"):
        mlp = model.transformer.h[layer].mlp
        return mlp.c_proj if hasattr(mlp, "c_proj") else mlp.fc_out
    text_model = getattr(model.model, "language_model", model.model)
    return text_model.layers[layer].mlp.down_proj


def reference(model, rows):
    keys = {}
    hooks = [
        down_projection(model, layer).register_forward_pre_hook(
            lambda _, inputs, layer=layer: keys.setdefault(layer, []).append(inputs[0][0, -1].tolist()))
        for layer in range(model.config.get_text_config().num_hidden_layers)
    ]
    log_probabilities = [
        torch.log_softmax(model(torch.tensor([row])).logits[0].double(), -1).tolist() for row in rows
    ]
    for hook in hooks:
        hook.remove()
    greedy = []
    for row in rows:
        ids = torch.tensor([row])
        for _ in range(8):
            ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
        greedy.append(ids[0, len(row):].tolist())
    return {"rows": rows, "log_probabilities": log_probabilities, "keys": keys, "greedy": greedy}


def bf16_difference(model):
    """The largest over many texts: that of a few tokens is a matter of luck, and nothing to hold another
    implementation to."""
    rounded = copy.deepcopy(model).to(torch.bfloat16)
    differences = []
    for length in (24, 40):
        ids = torch.randint(3, VOCABULARY, (50, length))
        exact, rough = (torch.log_softmax(each(ids).logits.float(), -1) for each in (model, rounded))
        differences.append((rough - exact).abs().max().item())
    return max(differences)


def main(out):
    tokenizer = byte_level_tokenizer()
    for number, (folder, make) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = make().eval()
        # The initial weights are so small that every distribution is nearly uniform: make the tests bite.
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if any(part in name for part in ("embed_tokens", "wte", "lm_head")):
                    parameter.mul_(30)
                elif parameter.dim() > 1:
                    # So that attention chooses between tokens, and Gemma's cap of its scores cuts.
                    sharp = folder in SHARP and any(part in name for part in ("q_proj", "k_proj", "qkv_proj"))
                    parameter.mul_(16 if sharp else 4)
                elif folder.startswith("gemma") and "layernorm" in name and "post_" in name and "vision" not in name:
                    # As in the published models later blocks have more to say. Embeddings are longer by sqrt(d) here:
                    # with gains near 1 no block would change a prediction.
                    layer = int(name.split("layers.")[1].split(".")[0])
                    gain = (1.0 if "feedforward" in name else 0.5) * (4, 16, 16, 64)[layer]
                    parameter.add_(gain * (1 + 0.1 * torch.randn_like(parameter)))
                else:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        # Greedy continuations of the last row pass 32 tokens.
        rows = [torch.randint(3, VOCABULARY, (length,)).tolist() for length in (1, 5, 40, 17, 28)]
        with torch.no_grad():
            expected = reference(model, rows)
            expected["bf16"] = bf16_difference(model)
        model.save_pretrained(out / folder)
        tokenizer.save(str(out / folder / "tokenizer.json"))
        (out / f"{folder}.json").write_text(json.dumps(expected))
    (out / "names.json").write_text(json.dumps(list(MODELS)))


main(pathlib.Path(sys.argv[1]))
