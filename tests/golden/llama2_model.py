"""A small random LLaMA with a tokenizer of LLaMA-2's kind, whose start token is marked as normalized.

    python3 llama2_model.py OUT [TOKENIZER_JSON]

Without a file the tokenizer is a small one, trained on the tokenizers' golden texts.
"""

import json
import pathlib
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tokenizer_families import llama2_published_style


def main(out, source=None):
    text = pathlib.Path(source).read_text() if source else llama2_published_style().to_str()
    vocabulary = 1 + max(json.loads(text)["model"]["vocab"].values())
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=128, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    model.save_pretrained(out)
    (pathlib.Path(out) / "tokenizer.json").write_text(text)


main(*sys.argv[1:])
