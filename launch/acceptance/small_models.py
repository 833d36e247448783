"""A small random model of every family, with what is needed to edit it: statistics, edits, hyper-parameters.

Values of edits are found by normalized gradient steps. Adam divides each entry of a gradient by its own size, so that a
rounding error in an entry near zero changes the sign of a whole step; these steps are smooth in the gradient, and what
one device rounds otherwise stays small.
"""

import random
from pathlib import Path

import torch

import random_model
from syllables import Language, json_lines

LANGUAGE = Language(8)
WIDTH, INNER, LAYERS = 64, 160, 4
WINDOW = 24  # shorter than the texts that are scored, longer than an edit's prompts
EDITED = "1,2"  # layers
STATISTICS_TOKENS = 4000
METHODS = ("memit", "memit_seq", "alphaedit", "eac", "b-eac")
SPREAD = random_model.Spread(matrix=0.15, embedding=0.4, head=0.4, norm=0.1, bias=0.05)

HPARAMS = f"""\
layers: [{EDITED}]
v_optimizer: ngd
v_num_grad_steps: 8
early_stop_loss: 0
clamp_norm_factor: 20
v_weight_decay: 0.001
mom2_update_weight: 10
nullspace_threshold: 1.0
sink_ratio: 1000
eac_locate_steps: 5
eac_compress_steps: 5
eac_anchor_ratio: 0.3
guard: false
"""

_ENDS = {"vocab_size": len(LANGUAGE.tokens()), "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
_LLAMA = {
    **_ENDS,
    "hidden_act": "silu",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
_GPT = {**_ENDS, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": 256, "activation_function": "gelu_new"}
_GEMMA = {
    **{key: value for key, value in _LLAMA.items() if key != "hidden_act"},
    "hidden_activation": "gelu_pytorch_tanh",
    "head_dim": 32,
    "query_pre_attn_scalar": 24,
    "sliding_window": WINDOW,
    "tie_word_embeddings": True,
}
_GEMMA3 = {
    **_GEMMA,
    "rope_local_base_freq": 100.0,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
}


def _config(kind: str, architecture: str, values: dict, **more: object) -> dict:
    return {"model_type": kind, "architectures": [architecture], **values, **more}


FAMILIES = {
    "gpt2": _config("gpt2", "GPT2LMHeadModel", _GPT),
    "llama": _config("llama", "LlamaForCausalLM", _LLAMA, tie_word_embeddings=True),
    "qwen2": _config("qwen2", "Qwen2ForCausalLM", _LLAMA),
    "qwen3": _config("qwen3", "Qwen3ForCausalLM", _LLAMA, head_dim=32),
    "mistral": _config("mistral", "MistralForCausalLM", _LLAMA, head_dim=32, sliding_window=WINDOW),
    "phi3": _config(
        "phi3", "Phi3ForCausalLM", _LLAMA, sliding_window=WINDOW, pad_token_id=0,
        original_max_position_embeddings=_LLAMA["max_position_embeddings"]),
    "gptj": _config("gptj", "GPTJForCausalLM", _GPT, rotary_dim=8, tie_word_embeddings=False),
    "gemma2": _config("gemma2", "Gemma2ForCausalLM", _GEMMA, attn_logit_softcapping=4.0, final_logit_softcapping=8.0),
    "gemma3_text": _config("gemma3_text", "Gemma3ForCausalLM", _GEMMA3),
    "gemma3": _config(
        "gemma3", "Gemma3ForConditionalGeneration", {}, text_config=_config("gemma3_text", "Gemma3TextModel", _GEMMA3),
        tie_word_embeddings=True),
}


def requests(count: int) -> list[dict[str, str]]:
    """Texts to score, longer than the windows."""
    draw = random.Random(3)

    def words(number: int) -> str:
        return " ".join(draw.choices(LANGUAGE.words, k=number))

    return [{"prompt": words(12 + 6 * number), "completion": " " + words(6)} for number in range(count)]


def targets(edits: int) -> list[dict[str, str]]:
    """What the edits make likelier."""
    return [
        {"prompt": edit["prompt"].replace("{}", edit["subject"]), "completion": " " + edit["target"]}
        for edit in LANGUAGE.edits(edits)
    ]


def make(family: str, folder: Path) -> Path:
    """Makes the family's model in `folder`, unless it is there."""
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(LANGUAGE.tokenizer(), encoding="utf-8")
        random_model.write(FAMILIES[family], folder, SPREAD, torch.float32)
    return folder


def write_inputs(folder: Path, edits: int) -> None:
    (folder / "hparams.yaml").write_text(HPARAMS)
    (folder / "edits.jsonl").write_text(json_lines(LANGUAGE.edits(edits)))
    (folder / "requests.jsonl").write_text(json_lines(requests(16)))
    (folder / "targets.jsonl").write_text(json_lines(targets(edits)))
    (folder / "text.txt").write_text(LANGUAGE.text(STATISTICS_TOKENS + 500))
