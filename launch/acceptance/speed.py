"""How fast, on a model of a published shape with random weights: matrix products alone, kernels per step, and edits
with their memory and idle share, for several sizes of groups. Measured, not judged: these checks fail only where
something does not run."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import random_model
import small_models
from bench import Bench
from checks import Check, Outcome
from gpu_samples import GpuSamples
from program import DONE, SOME_SET_ASIDE, Broken, NotRun, OutOfTime
from syllables import Language, json_lines

HERE = Path(__file__).resolve().parent
HPARAMS = HERE.parent / "hparams"
LANGUAGE = Language(100)
TOKENS_OF_AN_EDIT = 27  # in a step: 7 prompts, of which 3 to 4 tokens are left from the subject on
MEASURED, WHY_MEASURED = "measured alone", "a time is no error"
WHOLE_RUN = 3600.0
PYTHON_NAMES = {"bf16": "bfloat16", "fp32": "float32"}

_LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}


@dataclass(frozen=True)
class Shape:
    name: str
    config: dict
    hparams: str  # a file of launch/hparams
    settings: tuple[str, ...] = ()
    groups: tuple[int, ...] = (9, 18, 36, 72)
    batch: int = 72

    def seconds_to_read(self) -> float:
        """Of a model that was just written: its bytes, twice, for it is digested too."""
        return random_model.bytes_of(self.config) / 0.7e9


def _llama(d: int, f: int, layers: int, heads: int, kv_heads: int, **more: object) -> dict:
    sizes = {"hidden_size": d, "intermediate_size": f, "num_hidden_layers": layers}
    return {**_LLAMA, **sizes, "num_attention_heads": heads, "num_key_value_heads": kv_heads, **more}


SHAPES = {
    "13b": Shape("13b", _llama(5120, 13824, 40, 40, 40), "llama2-13b.yaml"),
    "8b": Shape("8b", _llama(4096, 14336, 32, 32, 8), "llama3-8b.yaml"),
    "1b": Shape("1b", _llama(2048, 8192, 16, 32, 8), "llama3.2-1b.yaml"),
    # Says nothing about speed: it shows that the measurement runs.
    "small": Shape("small", _llama(64, 160, 4, 4, 2), "llama3.2-1b.yaml", ("layers=1,2", "v_loss_layer=3"), (2, 4), 4),
}


def _dtype(bench: Bench) -> str:
    """CPUs may have no products in bf16."""
    return "bf16" if bench.device == "cuda" else "fp32"


def _memory_gb(bench: Bench) -> float:
    """Of the first GPU, as far as the program may fill it."""
    found = bench.machine["gpus"][0]["memory_mib"] if bench.machine["gpus"] else None
    return 0.95 * found * 2**20 / 1e9 if found else 8.0 if bench.device == "cpu" else 80.0


def _settings(shape: Shape, group: int) -> list[str]:
    # Every step is taken and every edit kept: random weights have no attention sinks, and no guard has a say.
    chosen = ["guard=false", "early_stop_loss=0", "sink_ratio=1000", f"group={group}", *shape.settings]
    return [word for setting in chosen for word in ("--set", setting)]


def _plan(bench: Bench, shape: Shape, group: int) -> dict:
    """One rank's, by `anchorage plan`. Throws NotRun where it does not fit."""
    config = bench.folder / f"{shape.name}.json"
    config.write_text(json.dumps(shape.config))
    words = ["plan", config, "--hparams", HPARAMS / shape.hparams, "--ranks", 1, "--dtype", _dtype(bench), "--json"]
    words += ["--quiet", "--batch", shape.batch, "--memory", _memory_gb(bench), *_settings(shape, group)]
    words += ["--cpu"] if bench.device == "cpu" else []
    said = bench.program(*words, "--device", "cpu", expected=(0, 2))
    if said.returncode != 0:
        last = said.stderr.strip().splitlines()[-1:]
        raise NotRun(f"{shape.name} in groups of {group} does not fit {_memory_gb(bench):.0f} GB: {''.join(last)}")
    return json.loads(said.stdout)


def shape_of(bench: Bench) -> Shape:
    """That of --shape; auto: the largest whose plan fits the GPU's memory and whose files fit the disk."""

    def choose() -> Shape:
        if bench.device == "cpu" and bench.shape != "small":
            raise NotRun("there is no GPU; --shape small shows that the measurement runs")
        names = ("13b", "8b", "1b") if bench.shape == "auto" else (bench.shape,)
        why = []
        for name in names:
            shape = SHAPES[name]
            needed = 1.1 * random_model.bytes_of(shape.config) + 5 * 12 * shape.config["intermediate_size"] ** 2
            free = shutil.disk_usage(bench.folder).free
            if free < needed:
                sizes = f"{needed / 1e9:.0f} GB of disk, found {free / 1e9:.0f}"
                why.append(f"{name} needs {sizes} in {bench.folder}, see --scratch")
                continue
            try:
                _plan(bench, shape, shape.groups[0])
                return shape
            except NotRun as reason:
                why.append(str(reason))
        raise NotRun("; ".join(why))

    return bench.once("shape", choose)


def _by_python(bench: Bench, script: str, *words: object) -> str:
    """A script of this folder in a process of its own, which gives the GPU's memory back."""
    left = bench.program.clock.left()
    if left <= 0:
        raise OutOfTime
    command = [sys.executable, "-B", str(HERE / script), *map(str, words)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        raise OutOfTime from None
    if ended.returncode != 0:
        raise Broken(f"expected exit code 0, found {ended.returncode}: {script}: {ended.stderr.strip()[-300:]}")
    return ended.stdout


def _products(bench: Bench) -> Outcome:
    shape = shape_of(bench)
    rows = [TOKENS_OF_AN_EDIT * group for group in shape.groups]
    if bench.device == "cuda":
        rows.append(8192)  # near what the GPU can do at all
    config = bench.folder / f"{shape.name}.json"
    found = json.loads(_by_python(bench, "products.py", config, bench.device, PYTHON_NAMES[_dtype(bench)], *rows))
    text = ", ".join(f"{tflops:.3g} at {row} rows" for row, tflops in found.items())
    return Outcome(True, f"{shape.name}: Tflop/s {text}", {"shape": shape.name, "tflops": found})


def _require_kernels(bench: Bench) -> None:
    if bench.device != "cuda":
        raise NotRun("there is no GPU whose kernels could be counted")


def _kernels(bench: Bench) -> Outcome:
    """Of a narrow model with the shape's layers: how many there are does not depend on widths."""
    shape = shape_of(bench)
    _require_kernels(bench)
    layers = shape.config["num_hidden_layers"]
    sizes = {"num_hidden_layers": layers, "tie_word_embeddings": True}
    folder = bench.folder / "models" / f"narrow-{layers}"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(small_models.LANGUAGE.tokenizer(), encoding="utf-8")
        random_model.write(small_models.FAMILIES["llama"] | sizes, folder, small_models.SPREAD, torch.bfloat16)
    statistics = bench.new_folder("narrow.h5")
    bench.program(
        "stats", folder, "--corpus", "text.txt", "--layers", small_models.EDITED, "--tokens",
        small_models.STATISTICS_TOKENS, "--sequence-length", 64, "--out", statistics, "--device", bench.device,
        "--quiet")

    def count(steps: int) -> int:
        said = bench.program.json(
            "edit", folder, "--edits", "edits.jsonl", "--limit", 4, "--batch", 4, "--run", bench.new_folder("counted"),
            "--hparams", "hparams.yaml", "--stats", statistics, "--method", "memit", "--set", "group=4", "--set",
            f"v_num_grad_steps={steps}", "--device", bench.device, "--checkpoint-every", 0, "--quiet",
            "--count-kernels")
        return said["rank_seconds"][0]["gpu_kernels"]["count"]

    per_step = (count(25) - count(5)) / 20
    return Outcome(
        True, f"of {layers} layers: {per_step:.0f} kernels, copies and fills a step",
        {"layers": layers, "per_step": per_step})


def _model(bench: Bench, shape: Shape) -> Path:
    """Made once, and kept for an acceptance that the time limit cut."""
    folder = bench.folder / "models" / shape.name
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(LANGUAGE.tokenizer(), encoding="utf-8")
        config = bench.folder / f"{shape.name}.json"
        _by_python(bench, "random_model.py", config, folder, bench.device)
    return folder


def _edited_layers(shape: Shape) -> str:
    for setting in shape.settings:
        if setting.startswith("layers="):
            return setting.removeprefix("layers=")
    line = next(line for line in (HPARAMS / shape.hparams).read_text().splitlines() if line.startswith("layers:"))
    return line.split("[")[1].split("]")[0].replace(" ", "")


def _statistics(bench: Bench, shape: Shape) -> Path:
    """Of twice as many tokens as there are dimensions, so that the second moments are regular. An interrupted
    collection continues."""
    path, finished = bench.folder / f"{shape.name}.h5", bench.folder / f"{shape.name}.h5.finished"
    if finished.exists():
        return path
    tokens = 2 * shape.config["intermediate_size"]
    corpus = bench.folder / f"{shape.name}.txt"
    corpus.write_text(LANGUAGE.text(tokens + 1000))
    bench.program(
        "stats", _model(bench, shape), "--corpus", corpus, "--layers", _edited_layers(shape), "--tokens", tokens,
        "--sequence-length", 128, "--out", path, "--device", bench.device, "--dtype", _dtype(bench), "--quiet",
        longest=WHOLE_RUN)
    finished.touch()
    return path


def _prepare(bench: Bench) -> Outcome:
    shape = shape_of(bench)
    begin = time.monotonic()
    _model(bench, shape)
    made = time.monotonic()
    path = bench.once("speed statistics", lambda: _statistics(bench, shape))
    collected = time.monotonic()
    size = random_model.bytes_of(shape.config) / 1e9
    return Outcome(
        path.exists(),
        f"{shape.name}: {size:.1f} GB of weights in {made - begin:.0f} s, statistics in {collected - made:.0f} s",
        {"shape": shape.name, "model_seconds": made - begin, "statistics_seconds": collected - made})


def _idle(bench: Bench) -> Outcome:
    """One group by torch's profiler, kernel by kernel."""
    shape = shape_of(bench)
    _require_kernels(bench)
    group = shape.groups[min(1, len(shape.groups) - 1)]
    statistics = bench.once("speed statistics", lambda: _statistics(bench, shape))
    facts = bench.folder / f"{shape.name}-edits.jsonl"
    facts.write_text(json_lines(LANGUAGE.edits(shape.batch)))
    run = bench.new_folder("idle")
    said = bench.program.json(
        "edit", _model(bench, shape), "--edits", facts, "--limit", group, "--batch", group, "--run", run, "--hparams",
        HPARAMS / shape.hparams, "--stats", statistics, "--method", "b-eac", *_settings(shape, group), "--device",
        bench.device, "--dtype", _dtype(bench), "--checkpoint-every", 0, "--quiet", "--count-kernels",
        expected=(DONE, SOME_SET_ASIDE), longest=WHOLE_RUN)
    shutil.rmtree(run, ignore_errors=True)
    rank = said["rank_seconds"][0]
    kernels, seconds = rank["gpu_kernels"], rank["gpu_seconds"]
    text = ", ".join(f"{name} {value:.2f} s" for name, value in sorted(seconds.items(), key=lambda one: -one[1])[:4])
    return Outcome(
        True,
        f"{shape.name}: no kernel in {kernels['idle_share']:.3f} of the time of a batch of {group},"
        f" {kernels['count']} kernels; {text}",
        {"shape": shape.name, "group": group, "gpu_kernels": kernels, "gpu_seconds": seconds})


def _shown(value: float | None, form: str, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:{form}}{unit}"


def _group(which: int) -> Check:
    def do(bench: Bench) -> Outcome:
        shape = shape_of(bench)
        if which >= len(shape.groups):
            raise NotRun(f"the shape {shape.name} has {len(shape.groups)} sizes of groups")
        group = shape.groups[which]
        plan = _plan(bench, shape, group)
        statistics = bench.once("speed statistics", lambda: _statistics(bench, shape))
        facts = bench.folder / f"{shape.name}-edits.jsonl"
        facts.write_text(json_lines(LANGUAGE.edits(shape.batch)))
        run = bench.new_folder(f"speed-{group}")
        threads = ["--threads", 1] if bench.device == "cpu" else []
        with GpuSamples() as samples:
            said = bench.program.json(
                "edit", _model(bench, shape), "--edits", facts, "--batch", shape.batch, "--run", run, "--hparams",
                HPARAMS / shape.hparams, "--stats", statistics, "--method", "b-eac", *_settings(shape, group),
                "--device", bench.device, "--dtype", _dtype(bench), "--checkpoint-every", 0, "--quiet", *threads,
                expected=(DONE, SOME_SET_ASIDE), longest=WHOLE_RUN)
            end = time.monotonic()
        shutil.rmtree(run, ignore_errors=True)
        seconds, committed, rank = said["seconds"], said["edits"]["committed"], said["rank_seconds"][0]
        figures = {
            "shape": shape.name,
            "group": group,
            "edits": committed,
            "edits_per_second": committed / seconds["total"],
            "seconds": seconds,
            "activities": rank["activities"],
            "tflops": sum(rank["flops"].values()) / seconds["total"] / 1e12,
            "idle_share": samples.idle_share(end - seconds["total"], end) if bench.device == "cuda" else None,
            "peak_bytes": samples.peak_bytes() if bench.device == "cuda" else None,
            "planned_bytes": plan["ranks"][0]["bytes"]["total"],
            "planned_seconds": plan["seconds_per_batch"]["total"],
        }
        peak = None if figures["peak_bytes"] is None else figures["peak_bytes"] / 1e9
        idle = None if figures["idle_share"] is None else 100 * figures["idle_share"]
        return Outcome(
            committed == shape.batch,
            f"{shape.name}: group {group}, {committed} edits, {figures['edits_per_second']:.3g} edits/s,"
            f" {figures['tflops']:.3g} Tflop/s, peak {_shown(peak, '.1f', ' GB')} (plan"
            f" {figures['planned_bytes'] / 1e9:.1f} GB), idle {_shown(idle, '.0f', ' %')} by nvidia-smi",
            figures,
        )

    def seconds(bench: Bench) -> float:
        shape = shape_of(bench)
        return shape.seconds_to_read() + 1.0 * shape.batch * random_model.bytes_of(shape.config) / 26e9

    compares = "a batch by B-EAC, all edits in groups of one size"
    return Check(f"speed.groups.{which + 1}", compares, MEASURED, WHY_MEASURED, 1, do, seconds)


def checks(is_small: bool) -> Iterator[Check]:
    products = "a block's matrix products alone at the rows of a step, in bf16 (on a CPU fp32)"
    yield Check("speed.products", products, MEASURED, WHY_MEASURED, 2, _products)
    yield Check("speed.kernels", "kernels per step of the optimizer", MEASURED, "a count is no error", 3, _kernels)
    yield Check(
        "speed.model", "a model of the shape with random weights, and its statistics", MEASURED, WHY_MEASURED, 1,
        _prepare, lambda bench: 3 * shape_of(bench).seconds_to_read())
    yield Check(
        "speed.idle", "the share of a batch in which the GPU has no kernel", MEASURED, WHY_MEASURED, 1, _idle,
        lambda bench: 3 * shape_of(bench).seconds_to_read())
    yield from (_group(which) for which in range(4))
