#!/usr/bin/env python3
"""What rouge-score of PyPI gives for pairs of texts.

    rouge.py PAIRS.json SCORES.json

PAIRS.json: a list of [text, reference]. SCORES.json: for each [ROUGE-1, ROUGE-2, ROUGE-L], F measures, no stemming.
"""

import json
import sys
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer


def main() -> None:
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    scores = []
    for text, reference in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        scored = scorer.score(target=reference, prediction=text)
        scores.append([scored[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")])
    Path(sys.argv[2]).write_text(json.dumps(scores), encoding="utf-8")


if __name__ == "__main__":
    main()
