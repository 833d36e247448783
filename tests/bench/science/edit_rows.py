"""The rows of a run's edits, and what a model gives at them: keys as the engine takes them, losses of targets."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from edited_model import name_of, write_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ROWS = 100  # run together


class EditRows:
    """Holds a Llama-like model in bf16, whose edited weights are the base's and a change in f32."""

    def __init__(self, model: Path, run: Path, statistics: Path, hparams: dict, requests: list[dict]) -> None:
        self.folder, self.layers = model, list(hparams["layers"])
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()
        tensors = load_file(model / "model.safetensors")
        self.base = {layer: tensors[name_of(layer)].float() for layer in self.layers}
        self.current = dict(self.base)
        self.requests = requests
        prefixes = ["", *(context["text"] for context in json.loads((run / "contexts.json").read_text()))]
        self._build(prefixes, hparams["contexts"], self._sink_limits(statistics, hparams["sink_ratio"]))

    def base_weight(self, layer: int) -> np.ndarray:
        return self.base[layer].double().numpy()

    def set_changes(self, changes: dict[int, np.ndarray]) -> None:
        for layer, change in changes.items():
            self._set_change(layer, change)

    def keys(self, change_of: Callable[[int, np.ndarray], np.ndarray] | None = None) -> dict[int, np.ndarray]:
        """The edits' keys [n, f] of each layer, means over contexts. `change_of` may change a layer once its keys
        are known, before those of the layers above are taken."""
        keys = {}

        def reach(layer: int, of_rows: np.ndarray, _: np.ndarray) -> None:
            keys[layer] = means(of_rows, self.edit_of_row)
            if change_of:
                self._set_change(layer, change_of(layer, keys[layer]))

        self._walk(self.rows, reach)
        return keys

    def streams(self, begin: int = 0, end: int | None = None) -> np.ndarray:
        """The residual stream after the last edited layer where the keys of edits begin to end - 1 are, means over
        contexts: [end - begin, d]."""
        seen, edits = {}, range(len(self.requests))[begin:end]
        of_edits = [row for row, edit in enumerate(self.edit_of_row) if edit in edits]

        def reach(layer: int, _: np.ndarray, of_rows: np.ndarray) -> None:
            seen[layer] = of_rows

        self._walk([self.rows[row] for row in of_edits], reach)
        return means(seen[max(self.layers)], [self.edit_of_row[row] - begin for row in of_edits])

    @torch.no_grad()
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the bare prompts with their targets: mean loss and exact match, [n] each."""
        loss, exact = np.zeros(len(self.requests)), np.zeros(len(self.requests), bool)
        rows = [self._bare(request) for request in self.requests]
        for part in batches([len(ids) + len(target) for ids, target in rows]):
            ids = padded([rows[i][0] + rows[i][1] for i in part])
            logits = self.model(ids).logits.float()
            for row, i in enumerate(part):
                prompt, target = rows[i]
                of_target = logits[row, len(prompt) - 1 : len(prompt) + len(target) - 1]
                wanted = torch.tensor(target)
                loss[i] = torch.nn.functional.cross_entropy(of_target, wanted).item()
                exact[i] = bool((of_target.argmax(-1) == wanted).all())
        return loss, exact

    def write_model(self, folder: Path) -> None:
        """Writes the changed model as a Hugging Face directory, in the base's dtype."""
        write_model(self.folder, self.current, folder)

    def _set_change(self, layer: int, change: np.ndarray) -> None:
        self.current[layer] = self.base[layer] + torch.from_numpy(change).float()
        with torch.no_grad():
            self.model.model.layers[layer].mlp.down_proj.weight.copy_(self.current[layer])

    def _bare(self, request: dict) -> tuple[list[int], list[int]]:
        texts = request["prompt"].replace("{}", request["subject"], 1), " " + request["target"]
        prompt, target = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return prompt, target

    def _to_subject(self, request: dict, prefix: str) -> list[int]:
        """The ids up to the subject's last token: what comes after it changes none of its keys."""
        prompt = f"{prefix}. {request['prompt']}" if prefix else request["prompt"]
        head = prompt[: prompt.index("{}")] + request["subject"]
        text = prompt.replace("{}", request["subject"], 1)
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        last = max(i for i, (a, b) in enumerate(encoding["offset_mapping"]) if a <= len(head) - 1 < b)
        return encoding["input_ids"][: last + 1]

    def _sink_limits(self, statistics: Path, ratio: float) -> np.ndarray:
        with h5py.File(statistics) as file:
            return ratio * file["residual_norm_median"][:][self.layers]

    def _build(self, prefixes: list[str], wanted: int, limits: np.ndarray) -> None:
        """The first `wanted` contexts of each edit in which its subject ends at no attention sink."""
        tried = [(i, self._to_subject(request, p)) for i, request in enumerate(self.requests) for p in prefixes]
        norms = []
        self._walk([ids for _, ids in tried], lambda _, keys, streams: norms.append(np.linalg.norm(streams, axis=1)))
        usable = (np.stack(norms, 1) <= limits).all(1)
        self.rows, self.edit_of_row, taken = [], [], [0] * len(self.requests)
        for (edit, ids), use in zip(tried, usable, strict=True):
            if use and taken[edit] < wanted:
                self.rows.append(ids)
                self.edit_of_row.append(edit)
                taken[edit] += 1

    @torch.no_grad()
    def _walk(self, rows: list[list[int]], reach: Callable[[int, np.ndarray, np.ndarray], None]) -> None:
        """Runs the rows layer by layer up to the last edited one. At each edited layer calls `reach` with the keys
        [rows, f] at the last tokens and the residual stream [rows, d] there after it; what `reach` changes in the layer
        counts for the layers above."""
        body, parts = self.model.model, batches([len(row) for row in rows])
        hidden = [body.embed_tokens(padded([rows[i] for i in part])) for part in parts]
        places = [torch.arange(states.shape[1])[None] for states in hidden]
        turns = [body.rotary_emb(states, at) for states, at in zip(hidden, places, strict=True)]
        last = [torch.tensor([len(rows[i]) - 1 for i in part]) for part in parts]
        seen: list[torch.Tensor] = []
        order = np.argsort(np.concatenate(parts))
        for number, layer in enumerate(body.layers[: max(self.layers) + 1]):
            if number in self.layers:
                hook = layer.mlp.down_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
                after = outputs(layer, hidden, turns)
                hook.remove()
                reach(number, *(at_positions(states, last)[order] for states in (seen, after)))
                seen.clear()
            hidden = outputs(layer, hidden, turns)


def means(rows: np.ndarray, edit_of_row: list[int]) -> np.ndarray:
    """The mean of each edit's rows."""
    counts = np.bincount(edit_of_row)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, edit_of_row, rows)
    return sums / counts[:, None]


def outputs(layer: torch.nn.Module, hidden: list[torch.Tensor], turns: list) -> list[torch.Tensor]:
    return [layer(states, position_embeddings=turn) for states, turn in zip(hidden, turns, strict=True)]


def at_positions(parts: list[torch.Tensor], positions: list[torch.Tensor]) -> np.ndarray:
    """Of each row of each part what stands at its position: [rows, width] f64."""
    picked = [part[torch.arange(len(at)), at] for part, at in zip(parts, positions, strict=True)]
    return torch.cat(picked).double().numpy()


def batches(lengths: list[int]) -> list[np.ndarray]:
    """Indices of rows of about the same length."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + ROWS] for i in range(0, len(order), ROWS)]


def padded(rows: list[list[int]]) -> torch.Tensor:
    """Padded at the end, where nothing before it sees it."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])
