"""Norms of the residual stream at subjects as a run's edits pile up.

    norms.py --comparison DIR --method METHOD --edits N,... [--subjects 6000:6100]

Prints, for the unedited model and after each N edits of the run of METHOD in compare.py's folder DIR, the mean norm of the
residual stream after each layer up to the last edited one, at the last token of the subjects of records that the run does
not edit (`--subjects`, their indices in the benchmark's file). Needs h5py, transformers and yaml.
"""

import argparse
import json
from pathlib import Path

import torch
import yaml
from compare import DATA
from journal import Journal
from transformers import AutoModelForCausalLM, AutoTokenizer


def prompts_to_subjects(tokenizer, records: list[dict]) -> list[list[int]]:
    """The ids of each prompt up to its subject's last token; a subject of one token at the first position is left out."""
    rows = []
    for record in records:
        end = record["prompt"].index(record["subject"]) + len(record["subject"])
        ids = tokenizer(record["prompt"][:end], add_special_tokens=False)["input_ids"]
        if len(ids) > 1:
            rows.append(ids)
    return rows


@torch.no_grad()
def mean_norms(model, rows: list[list[int]], layers: int) -> list[float]:
    of_rows = []
    for ids in rows:
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        of_rows.append([states[layer + 1][0, -1].norm().item() for layer in range(layers)])
    return torch.tensor(of_rows).mean(0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--comparison", type=Path, required=True)
    add("--method", required=True)
    add("--edits", required=True)
    add("--records", type=Path, default=DATA / "edits/counterfact-edit.json")
    add("--subjects", default="6000:6100")
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = given.comparison / given.method / "run"
    record = yaml.safe_load((run / "run.yaml").read_text())
    first, last = (int(index) for index in given.subjects.split(":"))
    model = AutoModelForCausalLM.from_pretrained(record["model"], dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(record["model"])
    rows = prompts_to_subjects(tokenizer, json.loads(given.records.read_text())[first:last])
    journal, wanted = Journal(run), {int(number) for number in given.edits.split(",")}
    layers = max(journal.change) + 1

    def say(edits: int) -> None:
        print(f"{edits:5d}", " ".join(f"{norm:6.1f}" for norm in mean_norms(model, rows, layers)), flush=True)

    say(0)
    for edits, updates in journal.batches:
        for layer, (u, v) in updates.items():
            model.model.layers[layer].mlp.down_proj.weight.data += torch.from_numpy(u @ v.T).float()
        if edits in wanted:
            say(edits)


if __name__ == "__main__":
    main()
