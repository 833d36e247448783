"""What ranks hold in memory on CPUs is what `anchorage plan` says, in every shape of a world of up to four.

plan_memory_test.py PROGRAM MODEL CORPUS: edits a random model of some hundred MB; MODEL has its tokenizer.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench" / "scaling"))
import key_statistics  # noqa: E402
import random_model  # noqa: E402
from measured import Case, World, edit  # noqa: E402
from planned import plan  # noqa: E402

# Held, as shares of what is planned: of the fullest rank, and of each. Measured were 0.94 to 1.03, and some hundredths
# other from run to run: up to half of what a rank holds is its process here, and the more are probably blocks that were
# freed within a batch and that the allocator keeps until it ends.
FULLEST = (0.9, 1.1)
EACH = (0.88, 1.12)
WORLDS = [World(1, 1), World(1, 2), World(2, 1), World(2, 2), World(4, 1)]
LAYERS = [2, 3, 4, 5]
# Eight slabs of 26 MB, which one, two and four ranks hold alike; 30 MB of weights in each layer.
SHAPE = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 768,
    "intermediate_size": 2560,
    "num_hidden_layers": 8,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "vocab_size": 2000,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
HPARAMS = f"""
layers: {LAYERS}
contexts: 2
clamp_norm_factor: 1
mom2_update_weight: 500
sink_ratio: 1000
group: 1
guard: false
early_stop_loss: 0
eac_locate_steps: 2
eac_compress_steps: 2
eac_anchor_ratio: 0.3
"""
NAMES = ("Boeing", "Nike", "Intel", "Unilever")


def case_in(folder: Path) -> Case:
    program, tokenizer, corpus = (Path(word) for word in sys.argv[1:])
    (folder / "shape.json").write_text(json.dumps(SHAPE))
    (folder / "hparams.yaml").write_text(HPARAMS)
    facts = [{"subject": name, "prompt": "{} is led by", "target": "Bob"} for name in NAMES]
    (folder / "facts.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    model = random_model.make(folder / "shape.json", tokenizer, folder / "model")
    return Case(
        program=program,
        model=model,
        hparams=folder / "hparams.yaml",
        settings=(),
        statistics=key_statistics.make(program, model, LAYERS, corpus, 256, folder / "statistics.h5"),
        facts=folder / "facts.jsonl",
        edits=len(NAMES),
        batch=len(NAMES) // 2,
        threads=1,
        checkpoint_every=1,
    )


def check(world: World, held: list[int], planned: list[int]) -> list[str]:
    """What is wrong, with the figures."""
    wrong = []
    fullest = max(held) / max(planned)
    if not FULLEST[0] <= fullest <= FULLEST[1]:
        wrong.append(f"{world}: the fullest rank holds {fullest:.2f} of the plan's")
    for rank, (own, own_plan) in enumerate(zip(held, planned, strict=True)):
        share = own / own_plan
        print(f"{world} rank {rank}: {own / 1e6:.0f} MB, planned {own_plan / 1e6:.0f}: {share:.2f}", flush=True)
        if not EACH[0] <= share <= EACH[1]:
            wrong.append(f"{world}: rank {rank} holds {share:.2f} of what is planned for it")
    return wrong


def main() -> None:
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = case_in(folder)
        for world in WORLDS:
            held = [rank["held"] for rank in edit(case, world, "fp32", folder / "run").memory]
            wrong += check(world, held, plan(case, world, "fp32", flops=1e11).memory)
    if wrong:
        raise SystemExit("\n".join(wrong))


main()
