"""Compares an export with a full export of the same run, as other programs read the two.

    compare_exports.py peft FULL BASE ADAPTER    prints the largest difference of two log-probabilities over some texts
    compare_exports.py gguf FULL FOLDER          prints that, the tensors that transformers reads otherwise, and whether
                                                 the tokens are the tokenizer's

Both print JSON. A tensor of GGUF may have been rounded to its file's type.
"""

import json
import sys

import gguf
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM


def log_probabilities(model):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(3, model.config.get_text_config().vocab_size, (4, 32), generator=generator)
    with torch.no_grad():
        return torch.log_softmax(model.eval()(rows).logits.double(), -1)


def load(folder, **how):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **how)


def compare_peft(full, base, adapter):
    adapted = PeftModel.from_pretrained(load(base), adapter)
    wanted, found, unedited = (log_probabilities(model) for model in (load(full), adapted, load(base)))
    return {"largest": (wanted - found).abs().max().item(), "edited": (wanted - unedited).abs().max().item()}


def compare_gguf(full, folder):
    reader = gguf.GGUFReader(f"{folder}/model.gguf")
    dtype = {0: torch.float32, 1: torch.float16, 32: torch.bfloat16}[reader.fields["general.file_type"].contents()]
    config = AutoConfig.from_pretrained(folder, gguf_file="model.gguf")
    if config.model_type == "gpt2":
        config.n_positions = config.n_ctx  # where transformers leaves GGUF's context_length
    wanted, found = load(full), load(folder, gguf_file="model.gguf", config=config)
    differ = []
    for name, tensor in wanted.state_dict().items():
        rounded = tensor if tensor.dim() == 1 or "wpe" in name else tensor.to(dtype).float()
        if not torch.equal(rounded, found.state_dict()[name]):
            differ.append(name)
    vocabulary = json.load(open(f"{full}/tokenizer.json", encoding="utf-8"))["model"]["vocab"]
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    return {
        "tensors": len(wanted.state_dict()),
        "differ": differ,
        "tokens": tokens == [token for token, _ in sorted(vocabulary.items(), key=lambda entry: entry[1])],
        "type": str(dtype),
        "largest": (log_probabilities(wanted) - log_probabilities(found)).abs().max().item(),
    }


print(json.dumps({"peft": compare_peft, "gguf": compare_gguf}[sys.argv[1]](*sys.argv[2:])))
