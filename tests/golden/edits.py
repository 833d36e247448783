#!/usr/bin/env python3
"""What the readers of io/edits must find in real files, found by an independent reading: writes edits.json.

    python3 tests/golden/edits.py ../shared/data/edits > tests/golden/edits.json

For every file: the counts, where records are rejected, and the SHA-256 of all edits in the native form, one JSON
text per line. Of the files under a free license one edit in the native form is there to be read by people.
"""

import hashlib
import json
import pathlib
import sys


def template(prompt, subject):
    assert "{}" not in prompt and prompt.count(subject) == 1
    return prompt.replace(subject, "{}")


def edit(subject, prompt, target, truth, paraphrases, neighborhood, source):
    text = "".join(part + "\0" for part in (subject, prompt, target))
    native = {
        "id": hashlib.sha256(text.encode()).hexdigest()[:16],
        "subject": subject,
        "prompt": prompt,
        "target": target,
        "ground_truth": truth,
        "paraphrases": paraphrases,
        "neighborhood": [{"prompt": p, "answer": a} for p, a in neighborhood],
        "source": source,
    }
    return {key: value for key, value in native.items() if value}


def counterfact_edit(record):
    return edit(
        record["subject"],
        template(record["prompt"], record["subject"]),
        record["target_new"],
        record["ground_truth"],
        [record["rephrase_prompt"].strip()],
        [(record["locality_prompt"].strip(), record["locality_ground_truth"])],
        f"EasyEdit, case {record['case_id']}",
    )


def multi_neighbor_edit(record):
    return edit(
        record["subject"],
        template(record["prompt"], record["subject"]),
        record["target_new"],
        record["ground_truth"],
        [prompt.strip() for prompt in record["rephrase_prompt"]],
        [(entry["prompt"].strip(), record["ground_truth"]) for entry in record["locality"]],
        f"{record['source']}, case {record['case_id']}",
    )


def mend_edit(record):
    if not record["alt"]:
        return None
    return edit(
        record["subject"].strip(),
        template(record["src"].strip(), record["subject"].strip()),
        record["alt"].strip(),
        record["answers"][0].strip(),
        [record["rephrase"].strip()],
        [(record["loc"].strip() + "?", record["loc_ans"].strip())],
        "ZsRE of MEND",
    )


def wikibigedit_edit(record):
    return edit(
        record["subject"].strip(),
        template(record["prompt"].strip(), record["subject"].strip()),
        record["target_new"].strip(),
        "",
        [record["rephrase_prompt"].strip()],
        [(record["locality_prompt"].strip(), record["locality_ground_truth"].strip())],
        "EasyEdit",
    )


def qaedit_edit(record):
    subject = record["subject"].strip()
    if record["prompt"].strip().count(subject) != 1:
        return None
    return edit(
        subject,
        template(record["prompt"].strip(), subject),
        record["target"].strip(),
        "",
        [record["rephrase"].strip()],
        [(entry["loc"].strip(), entry["loc_ans"].strip()) for entry in record["locality"]],
        f"{record['source']}, case {record['id']}",
    )


FILES = {
    "counterfact-edit.json": ("easyedit", counterfact_edit),
    "counterfact_500_multi_neighbour.json": ("easyedit", multi_neighbor_edit),
    "zsre_mend_train-1k.json": ("mend-zsre", mend_edit),
    "wikibigedit_3k.json": ("easyedit", wikibigedit_edit),
    "qaedit_1k.json": ("qaedit", qaedit_edit),
}


def digest(lines):
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


def main():
    folder = pathlib.Path(sys.argv[1])
    golden = {"files": {}}
    for name, (form, read) in FILES.items():
        records = json.loads((folder / name).read_text())
        if isinstance(records, dict):
            records = records["records"]
        edits = [read(record) for record in records]
        found = [one for one in edits if one]
        golden["files"][name] = {
            "format": form,
            "edits": len(found),
            "rejected": [index for index, one in enumerate(edits) if not one],
            "sha256": digest(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in found),
        }
        if form != "mend-zsre":
            golden["files"][name]["edit 7"] = found[7]
    facts = json.loads((folder / "known_1000.json").read_text())
    golden["known_1000.json"] = {
        "facts": len(facts),
        "sha256": digest(fact["prompt"].strip() + "\t" + fact["attribute"].strip() for fact in facts),
    }
    json.dump(golden, sys.stdout, ensure_ascii=False, indent=1)
    print()


main()
