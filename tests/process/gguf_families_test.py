"""GGUF files of every family's small model, read by gguf and by transformers: the same log-probabilities as the model's,
the hyper-parameters of its config.json, and a refusal of what llama.cpp cannot compute.

gguf_families_test.py FOLDER SMALL_MODELS: that of the scripts of `export --format gguf`, and that of the small models.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import gguf
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

FOLDER, MODELS = Path(sys.argv[1]), Path(sys.argv[2])
# As the program puts them together.
SCRIPT = "".join((FOLDER / name).read_text() for name in ("gguf_families.py", "gguf_export.py"))
LLAMA = {"context_length": 128, "embedding_length": 32, "block_count": 4, "feed_forward_length": 80,
         "attention.head_count": 4, "attention.head_count_kv": 2, "rope.freq_base": 10000.0}
GEMMA = {**LLAMA, "attention.key_length": 16, "attention.value_length": 16, "attention.sliding_window": 6}
# As llama.cpp can compute them: queries scaled by the head's size.
SCALED = {"query_pre_attn_scalar": 16}
CASES = {
    "llama_tied": ({}, "llama", LLAMA),
    "llama_linear_rope": ({}, "llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 2.5}),
    "llama3_rope": ({}, "llama", {**LLAMA, "attention.head_count_kv": 1, "attention.key_length": 16}),
    "qwen2": ({}, "qwen2", LLAMA),
    "qwen2_upper_windows": ({}, "qwen2", {"context_length": 128, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
                                          "rope.scaling.original_context_length": 32}),
    "llama_dynamic_rope": ({}, "llama", LLAMA),
    # 1.25, over the 0.1 ln(4) + 1 that llama.cpp multiplies by itself
    "qwen3_mixed_windows": ({}, "qwen3", {"attention.key_length": 8, "rope.scaling.attn_factor": 1.0978083,
                                          "rope.scaling.yarn_beta_fast": 16.0, "rope.scaling.yarn_beta_slow": 2.0}),
    "qwen3": ({}, "qwen3", {**LLAMA, "attention.key_length": 16}),
    "mistral": ({}, "llama", {**LLAMA, "attention.key_length": 16}),
    "phi3": ({}, "phi3", {**LLAMA, "attention.sliding_window": 8, "rope.scaling.original_context_length": 4096}),
    "phi3_longrope": ({}, "phi3", {**LLAMA, "rope.scaling.original_context_length": 32}),
    "phi4_mini": ({}, "phi3", {"rope.dimension_count": 12, "attention.head_count": 2}),
    "gemma2": (SCALED, "gemma2", {**GEMMA, "attn_logit_softcapping": 4.0, "final_logit_softcapping": 8.0}),
    "gemma3": (SCALED, "gemma3", {**GEMMA, "rope.freq_base": 1000.0, "rope.freq_base_swa": 100.0,
                                  "rope.scaling.factor": 4.0, "attention.sliding_window_pattern": 3}),
    "gemma3_with_vision": (SCALED, "gemma3", {**GEMMA, "rope.freq_base": 1000.0, "attention.sliding_window_pattern": 3}),
}
IGNORED_WINDOWS = {"qwen2_upper_windows", "qwen3_mixed_windows", "mistral", "phi3"}
REFUSED = {
    "gptj": ({}, "GPT-J, of which llama.cpp has the name and no implementation"),
    "gemma2": ({}, "a query_pre_attn_scalar of 24, where llama.cpp computes with 16"),
    "gemma3": ({**SCALED, "layer_types": ["full_attention", "sliding_attention"] * 2}, "'layer_types' that do not repeat"),
    "phi3": ({"hidden_act": "gelu"}, "the activation 'gelu' in the family 'phi3'"),
}


def changed_copy(name, changes, folder):
    """A directory with the model's files and a config.json with other values."""
    copy = folder / name
    shutil.copytree(MODELS / name, copy)
    config = json.loads((copy / "config.json").read_text())
    config.get("text_config", config).update(changes)
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def convert(model, out, kind="f32"):
    request = {"model": str(model), "out": str(out), "type": kind, "verify": True}
    return subprocess.run([sys.executable, "-c", SCRIPT], input=json.dumps(request), text=True, capture_output=True)


def log_probabilities(model):
    rows = torch.randint(3, 320, (4, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.log_softmax(model.eval()(rows).logits.double(), -1)


def as_in_gguf(config):
    """As transformers reads the file: the text model alone, and Mistral as the LLaMA that it is within its window."""
    if config.model_type == "mistral":
        return LlamaConfig(**{key: entry for key, entry in config.to_dict().items() if key != "model_type"})
    return config.get_text_config()


class OfFamily(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_is_the_model(self):
        for name, (changes, architecture, expected) in CASES.items():
            with self.subTest(name):
                model = changed_copy(name, changes, self.folder)
                written = convert(model, self.folder / f"{name}.gguf")
                self.assertEqual(written.returncode, 0, written.stderr)
                self.check_fields(gguf.GGUFReader(self.folder / f"{name}.gguf").fields, architecture, expected)
                notes = json.loads(written.stdout)["notes"]
                self.assertEqual(any("sliding window" in note for note in notes), name in IGNORED_WINDOWS, notes)
                config = AutoConfig.from_pretrained(model)
                read = AutoModelForCausalLM.from_pretrained(
                    self.folder, gguf_file=f"{name}.gguf", config=as_in_gguf(config), dtype=torch.float32)
                difference = log_probabilities(AutoModelForCausalLM.from_pretrained(model)) - log_probabilities(read)
                self.assertLess(difference.abs().max().item(), 1e-4)

    def check_fields(self, fields, architecture, expected):
        self.assertEqual(fields["general.architecture"].contents(), architecture)
        for key, wanted in expected.items():
            found = fields[f"{architecture}.{key}"].contents()
            self.assertEqual(found, wanted) if isinstance(wanted, str) else self.assertAlmostEqual(found, wanted, 5, key)

    def test_longrope_has_both_sets_of_factors(self):
        written = convert(MODELS / "phi3_longrope", self.folder / "l.gguf")
        self.assertEqual(written.returncode, 0, written.stderr)
        reader = gguf.GGUFReader(self.folder / "l.gguf")
        tensors = {tensor.name: tensor.data.tolist() for tensor in reader.tensors}
        scaling = json.loads((MODELS / "phi3_longrope/config.json").read_text())["rope_parameters"]
        for name in ("long", "short"):
            torch.testing.assert_close(tensors[f"rope_factors_{name}.weight"], scaling[f"{name}_factor"])
        # sqrt(1 + ln(128 / 32) / ln(32)), by hand
        self.assertAlmostEqual(reader.fields["phi3.rope.scaling.attn_factor"].contents(), 1.1832160, 5)

    def test_what_llama_cpp_cannot_compute_is_refused(self):
        for name, (changes, reason) in REFUSED.items():
            with self.subTest(name):
                refused = convert(changed_copy(name, changes, self.folder), self.folder / f"{name}.gguf")
                self.assertEqual(refused.returncode, 1)
                self.assertIn(reason, refused.stderr.splitlines()[-1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
