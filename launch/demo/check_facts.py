"""Checks with transformers that the demo's facts are news to the demo model, and that it knows their neighbors.

    check_facts.py MODEL FACTS.jsonl

For each edit, greedy decoding must not give the target after the prompt or a paraphrase, and must give the
answer after each neighborhood prompt. Prints what fails; exit code 1 if anything does. Run it after changing facts.jsonl.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()

    def answer(prompt: str) -> str:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        return tokenizer.decode(output[0, inputs.input_ids.shape[1] :]).strip()

    edits = [json.loads(line) for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()]
    failures = []
    for edit in edits:
        for prompt in [edit["prompt"].replace("{}", edit["subject"]), *edit["paraphrases"]]:
            if answer(prompt).startswith(edit["target"]):
                failures.append(f"{edit['id']}: the model answers {edit['target']!r} already, to {prompt!r}")
        for neighbor in edit["neighborhood"]:
            if not (found := answer(neighbor["prompt"])).startswith(neighbor["answer"]):
                failures.append(
                    f"{edit['id']}: expected {neighbor['answer']!r}, found {found!r}, to {neighbor['prompt']!r}"
                )
    print("\n".join([*failures, f"{len(edits)} facts checked, {len(failures)} failures"]))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
