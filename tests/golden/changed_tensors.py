"""What transformers loads of pairs of models, tensor by tensor.

    python3 changed_tensors.py BASE EDITED [BASE EDITED]...

prints JSON, of each pair the names of the tensors that differ, in order: [[NAME]]. Fails where transformers finds a
tensor of EDITED missing, unexpected or of another shape.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def loaded(folder):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    trouble = {kind: list(names) for kind, names in report.items() if names}
    if trouble:
        raise SystemExit(f"{folder}: {trouble}")
    return model.state_dict()


def main(folders):
    answers = []
    for base, edited in zip(folders[::2], folders[1::2]):
        before, after = loaded(base), loaded(edited)
        if list(before) != list(after):
            raise SystemExit(f"{edited} has other tensors than {base}")
        # Of a model with vision, transformers' names are others than its checkpoint's.
        answers.append([name.replace("model.language_model.", "language_model.model.")
                        for name in before if not torch.equal(before[name], after[name])])
    json.dump(answers, sys.stdout)


main(sys.argv[1:])
