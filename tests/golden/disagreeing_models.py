"""Small models whose tensors and config.json disagree, with what transformers makes of each.

    python3 disagreeing_models.py OUT

writes OUT/<name>/ (a Hugging Face directory without a tokenizer) and OUT/expected.json:
{name: {"rows": [[ids]], "log_probabilities": [[[V]]] f64}}, or null where transformers would make up a tensor.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM, Gemma3Config, Gemma3ForConditionalGeneration, GPT2Config, GPT2LMHeadModel, LlamaConfig,
    LlamaForCausalLM)

VOCABULARY, WIDTH = 40, 16


def llama(**changes):
    return LlamaForCausalLM(LlamaConfig(**{**dict(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, tie_word_embeddings=True), **changes}))


def gpt2(**changes):
    return GPT2LMHeadModel(GPT2Config(**{**dict(
        vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2),
        **changes}))


def gemma3_with_vision():
    return Gemma3ForConditionalGeneration(Gemma3Config(
        text_config=dict(
            vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, max_position_embeddings=32, sliding_window=4, bos_token_id=1,
            eos_token_id=2),
        vision_config=dict(
            model_type="siglip_vision_model", hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=1, image_size=8, patch_size=4, vision_use_head=False),
        mm_tokens_per_image=4, attn_implementation="eager"))


def with_head(head):
    return lambda tensors: {**tensors, "lm_head.weight": head(tensors)}


def another_head(tensors):
    return torch.randn(VOCABULARY, WIDTH)


def with_tensors(names):
    return lambda tensors: {**tensors, **{name: torch.ones(4) for name in names}}


def without(part):
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name}


def without_prefix(prefix):
    return lambda tensors: {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def named_as_modules(tensors):
    """As a state dict names them, instead of as transformers saves them."""
    moved = {"language_model.model.": "model.language_model.", "vision_tower.": "model.vision_tower.",
             "multi_modal_projector.": "model.multi_modal_projector."}
    prefixes = {name: next(prefix for prefix in moved if name.startswith(prefix)) for name in tensors}
    return {moved[prefix] + name.removeprefix(prefix): tensors[name] for name, prefix in prefixes.items()}


def as_they_are(tensors):
    return tensors


# The model that is saved, what then happens to its tensors and to its config.json, and whether transformers has a
# tensor for every weight.
CASES = {
    "attention_bias_denied": (lambda: llama(attention_bias=True), as_they_are, {"attention_bias": False}, True),
    "mlp_bias_denied": (lambda: llama(mlp_bias=True), as_they_are, {"mlp_bias": False}, True),
    "attention_bias_missing": (llama, as_they_are, {"attention_bias": True}, False),
    "mlp_bias_missing": (llama, as_they_are, {"mlp_bias": True}, False),
    "llama_tied_with_another_head": (llama, with_head(another_head), {}, True),
    "gpt2_tied_with_another_head": (gpt2, with_head(another_head), {}, True),
    "llama_tied_with_the_same_head": (
        llama, with_head(lambda tensors: tensors["model.embed_tokens.weight"].clone()), {}, True),
    "untied_without_head": (lambda: llama(tie_word_embeddings=False), without("lm_head"), {}, False),
    "layers_beyond": (lambda: llama(num_hidden_layers=3), as_they_are, {"num_hidden_layers": 2}, True),
    "unknown_tensors": (
        llama, with_tensors(["model.layers.0.self_attn.q_norm.weight", "score.weight"]), {}, True),
    "gpt2_old_buffers": (
        gpt2, with_tensors(["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias"]), {}, True),
    "llama_old_buffers": (
        llama, with_tensors(["model.layers.1.self_attn.rotary_emb.inv_freq"]), {}, True),
    "gpt2_without_prefix": (gpt2, without_prefix("transformer."), {}, True),
    "gemma3_with_vision": (gemma3_with_vision, as_they_are, {}, True),
    "gemma3_with_vision_named_as_modules": (gemma3_with_vision, named_as_modules, {}, True),
    "llama_without_prefix": (llama, without_prefix("model."), {}, True),
}


def save(case, folder):
    make, change_tensors, change_config, _ = case
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    weights = folder / "model.safetensors"
    save_file(change_tensors(load_file(weights)), weights, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change_config}))


def main(out):
    expected = {}
    for number, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(number)
        save(case, out / name)
        if not case[-1]:
            expected[name] = None
            continue
        model = AutoModelForCausalLM.from_pretrained(out / name).eval()
        rows = [torch.randint(3, VOCABULARY, (length,)).tolist() for length in (1, 9)]
        with torch.no_grad():
            logits = [model(torch.tensor([row])).logits[0].double() for row in rows]
        expected[name] = {"rows": rows, "log_probabilities": [torch.log_softmax(one, -1).tolist() for one in logits]}
    (out / "expected.json").write_text(json.dumps(expected))


main(pathlib.Path(sys.argv[1]))
