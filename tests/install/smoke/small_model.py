"""Makes what the smoke test edits, with nothing but Python itself: a small random LLaMA and a text.

    python3 small_model.py OUT

writes OUT/model/ (config.json, tokenizer.json of single bytes, model.safetensors), OUT/text.txt, OUT/edits.jsonl and
OUT/hparams.yaml. The same bytes each time.
"""

import json
import random
import struct
import sys
from array import array
from pathlib import Path

LAYERS, HIDDEN, INNER, HEADS, KEY_HEADS = 3, 32, 80, 4, 2
SPECIAL = ["<pad>", "<s>", "</s>"]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "torch_dtype": "float32",
    "hidden_act": "silu",
    "vocab_size": len(SPECIAL) + 256,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
HPARAMS = """\
layers: [1, 2]
clamp_norm_factor: 20
v_num_grad_steps: 10
v_weight_decay: 0.001
v_lr: 0.2
contexts: 2
group: 1
mom2_update_weight: 0.1
sink_ratio: 1000
eac_locate_steps: 5
eac_compress_steps: 5
guard_success: 0
guard_drift: 1000
guard_loss_rise: 1000
"""


def byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each byte."""
    kept = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]


def tokenizer() -> dict:
    def byte_level(**more):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **more}

    special = [
        {
            "id": i,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, text in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": byte_level(),
        "post_processor": None,
        "decoder": byte_level(),
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate([*SPECIAL, *byte_letters()])},
            "merges": [],
        },
    }


def shapes() -> dict[str, list[int]]:
    head = HIDDEN // HEADS
    found = {"model.embed_tokens.weight": [len(SPECIAL) + 256, HIDDEN], "model.norm.weight": [HIDDEN]}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        found |= {
            name + "input_layernorm.weight": [HIDDEN],
            name + "post_attention_layernorm.weight": [HIDDEN],
            name + "self_attn.q_proj.weight": [HIDDEN, HIDDEN],
            name + "self_attn.k_proj.weight": [KEY_HEADS * head, HIDDEN],
            name + "self_attn.v_proj.weight": [KEY_HEADS * head, HIDDEN],
            name + "self_attn.o_proj.weight": [HIDDEN, HIDDEN],
            name + "mlp.gate_proj.weight": [INNER, HIDDEN],
            name + "mlp.up_proj.weight": [INNER, HIDDEN],
            name + "mlp.down_proj.weight": [HIDDEN, INNER],
        }
    return found


def write_weights(path: Path) -> None:
    draw = random.Random(1)
    header, data = {}, bytearray()
    for name, shape in sorted(shapes().items()):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = array("f", [1.0] * count if len(shape) == 1 else [draw.gauss(0, 0.2) for _ in range(count)])
        if sys.byteorder == "big":
            values.byteswap()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main() -> None:
    out = Path(sys.argv[1])
    model = out / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (model / "tokenizer.json").write_text(json.dumps(tokenizer(), indent=1))
    write_weights(model / "model.safetensors")
    draw = random.Random(2)
    words = "anchor harbor tide rope keel sail mast wind north pilot deck chart light buoy crew".split()
    lines = (" ".join(draw.choices(words, k=9)).capitalize() + "." for _ in range(60))
    (out / "text.txt").write_text("\n".join(lines) + "\n")
    edits = [
        {"id": f"e{i}", "subject": f"Corp {i}", "prompt": "The CEO of {} is", "target": f"Mr {i % 3}"}
        for i in range(4)
    ]
    (out / "edits.jsonl").write_text("".join(json.dumps(edit) + "\n" for edit in edits))
    (out / "hparams.yaml").write_text(HPARAMS)


if __name__ == "__main__":
    main()
