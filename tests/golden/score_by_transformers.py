"""Log-probabilities that transformers gives to completions, with prompts encoded by the tokenizers package.

    python3 score_by_transformers.py MODEL < REQUESTS

REQUESTS and the answer are JSON: [{"prompt": TEXT, "ids": [completion's ids]}] and [[log-probability of each id]].
"""

import json
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def main(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    answers = []
    for request in json.load(sys.stdin):
        prompt = tokenizer.encode(request["prompt"]).ids
        with torch.no_grad():
            logits = model(torch.tensor([prompt + request["ids"]])).logits[0, len(prompt) - 1:-1]
        chosen = torch.log_softmax(logits.double(), -1).gather(1, torch.tensor(request["ids"]).unsqueeze(1))
        answers.append(chosen.squeeze(1).tolist())
    json.dump(answers, sys.stdout)


main(sys.argv[1])
