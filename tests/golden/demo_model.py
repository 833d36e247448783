"""What transformers says of the demo model: OUT/reference.json with log-probabilities of texts and greedy continuations.

    python3 demo_model.py OUT

The model is ${ANCHORAGE_CACHE:-~/.cache/anchorage}/SmolLM2-135M-Instruct; without it the file is not written.
"""

import json
import os
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "The Eiffel Tower is located in the city of Paris, France.",
    "Germany is a part of Europe, and the capital of Germany is Berlin.",
    "In 1969, Neil Armstrong became the first person to walk on the Moon; 600 million people watched.",
    "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n",
]


def main(out):
    cache = pathlib.Path(os.environ.get("ANCHORAGE_CACHE", pathlib.Path.home() / ".cache" / "anchorage"))
    folder = cache / "SmolLM2-135M-Instruct"
    if not folder.exists():
        return
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            logits = model(torch.tensor([ids])).logits[0].double()
            log_probabilities = torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
            greedy = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids):]
            cases.append({"text": text, "ids": ids, "log_probabilities": log_probabilities.tolist(),
                          "greedy": tokenizer.decode(greedy, skip_special_tokens=True)})
    (out / "reference.json").write_text(json.dumps({"model": str(folder), "cases": cases}))


main(pathlib.Path(sys.argv[1]))
