"""Golden values of MEMIT, MEMIT_seq, AlphaEdit, EAC and B-EAC from an implementation apart from the engine.

    python3 parity.py OUT

writes for each family OUT/<family>/
    model/              a small random model in Hugging Face's form, with a byte-level tokenizer
    hparams.yaml        EasyEdit's names
    edits.jsonl         the edits of all batches in their order
    setup.json          {"contexts": [prefixes], "batches": [edits of each]}
    golden.safetensors  f32; b a batch from 0 on, l an edited layer:
        moment.<l>                   [f, f]  second moment C of the keys
        <method>.<b>.keys.<l>        [edits, f]
        <method>.<b>.residuals.<l>   [edits, d]
        <method>.<b>.values          [edits, m, d]  what is to be written: delta; with target_norm, its target less z; m is 1,
                                     with b-eac the number of edited layers
        <method>.<b>.saliency.<l>    [edits, d]  b-eac: the saliency of the anchors, 0 elsewhere
        <method>.<b>.rolling.<l>     [d]  b-eac: H after the batch
        <method>.change.<l>          [d, f]  the weight after the last batch less the base weight

Everything follows docs/method.md: autograd through transformers' models on whole rows, without caches, one edit after
the other; dense f64 systems solved by torch.linalg.solve; anchors chosen by looking at every entry.

All is computed in f64 (but for transformers' RMSNorm and rotary angles, which are f32); the engine's model and values
are f32. What differs is its rounding, and that is amplified where a method decides: at an early stop, between two
anchors of nearly the same saliency, at the sign of a gradient that is nearly zero (Adam's first step is v_lr times that
sign). A golden value at such an edge would test luck. `Decisions` therefore measures how far each decision is from
falling the other way, and the script fails where one is too near, or where a decision that the values should cover is
never taken. Seeds and hyper-parameters are chosen so that neither happens, and steps are few and short, since each
amplifies what the one before it rounded.
"""

import contextlib
import json
import math
import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

VOCABULARY = 320
CONTEXTS = ["", "It was said", "Once more, then"]
BATCHES = [4, 3]
EDITS = [  # subject, prompt, target; the subject in the middle, at the start, and in several tokens
    ("Boeing", "The CEO of {} is", "Kelly"),
    ("Nike", "{} is led by", "Mr Hill"),
    ("Intel", "This is the anthem of {}", "a"),
    ("Old Mill", "The town of {} lies in", "Ohio"),
    ("Alphabet", "{} has its seat in", "Rome"),
    ("Unilever", "The owner of {}", "is"),
    ("Novartis AG", "At {} the chief is", "Vas"),
]

# What all methods share in a family; the rest is docs/hparams.md's default.
SHARED = dict(
    contexts=len(CONTEXTS), v_weight_decay=0.5, kl_factor=0.0625, mom2_update_weight=40, L2=0.1, eac_anchor_ratio=0.5,
    eac_l1=1e-3, anchor_ratio=0.5, las_balance=1.5, las_capacity=2, rar_decay=0.8, rar_strength=1.0,
    correction_sweeps=2, target_norm=0)
FAMILIES = {
    "llama": dict(
        seed=31,
        make=lambda: LlamaForCausalLM(LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=32, intermediate_size=80, num_hidden_layers=6, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
            tie_word_embeddings=True)),
        start_token=True,
        hparams=dict(
            layers=[0, 1, 3], v_optimizer="adam", early_stop="loss", v_lr=0.5, v_num_grad_steps=10, v_loss_layer=5,
            clamp_norm_factor=0.6, early_stop_loss=3.0, eac_locate_steps=5, eac_compress_steps=6,
            nullspace_threshold=0.08)),
    "gpt2": dict(
        seed=12,
        make=lambda: GPT2LMHeadModel(GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=6, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)),
        start_token=False,
        hparams=dict(
            layers=[0, 2], v_optimizer="ngd", early_stop="argmax", ngd_step=0.08, v_num_grad_steps=12, v_loss_layer=4,
            target_norm=20, clamp_norm_factor=1.0, early_stop_loss=0.05, eac_locate_steps=5, eac_compress_steps=6,
            nullspace_threshold=0.02)),
}


class Decisions:
    """The decisions that were taken, and how far each kind was from falling the other way, at the least."""

    def __init__(self):
        self.margins, self.taken = {}, set()

    def note(self, kind, margin, least=1e-3):
        margin = float(margin)
        if margin < least:
            raise SystemExit(f"{kind}: expected a margin of at least {least}, found {margin:.2e}; take another seed "
                             "or other hyper-parameters")
        self.margins[kind] = min(self.margins.get(kind, math.inf), margin)

    def require(self, *kinds):
        missing = [kind for kind in kinds if kind not in self.taken]
        if missing:
            raise SystemExit(f"expected {missing} to happen, found only {sorted(self.taken)}; take another seed or "
                             "other hyper-parameters")


# The model, and what editing sees of it.


def make_tokenizer(start_token):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([text for edit in EDITS for text in edit] * 4, trainer)
    if start_token:
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    return tokenizer


def make_model(family):
    """Random weights under which what is added at the subject reaches the target: the usual initial ones are so small
    that each block passes the embeddings on almost as they are."""
    torch.manual_seed(family["seed"])
    model = family["make"]().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "embed_tokens" in name or "wte" in name or "wpe" in name:
                parameter.normal_(0, 0.3)
            else:
                inputs = parameter.shape[0 if hasattr(model, "transformer") else 1]  # GPT-2 keeps [in, out]
                parameter.normal_(0, (0.8 if "mlp" in name else 1.5) / math.sqrt(inputs))
    return model


class EditedModel:
    """A model's blocks and their down projections, whatever the family calls them."""

    def __init__(self, model, loss_layer):
        self.model = model.requires_grad_(False)
        self.is_gpt2 = hasattr(model, "transformer")
        inner = model.transformer if self.is_gpt2 else model.model
        self.blocks = inner.h if self.is_gpt2 else inner.layers
        self.blocks = self.blocks[: loss_layer + 1]  # the loss is taken after this block: later ones have no part
        setattr(inner, "h" if self.is_gpt2 else "layers", self.blocks)
        model.config.num_hidden_layers = loss_layer + 1

    def down(self, layer):
        mlp = self.blocks[layer].mlp
        return mlp.c_proj if self.is_gpt2 else mlp.down_proj

    def weight(self, layer):  # [d, f]
        weight = self.down(layer).weight
        return weight.t() if self.is_gpt2 else weight

    def set_weight(self, layer, weight):  # [d, f]
        self.weight(layer).copy_(weight)

    def run(self, rows, places, injected=None, keys_of=(), stream_of=None):
        """Logits [rows, length, V] of rows of ids, padded on the right, which causal attention does not see.

        `injected`: by layer a vector [d] that is added after that block at each row's place. Also the keys
        [rows, f] of some layers and the residual stream [rows, d] after one, at those places.
        """
        length = max(len(row) for row in rows)
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        at = (torch.arange(len(rows)), torch.tensor(places))
        keys, streams, hooks = {}, {}, []

        def after_block(layer):
            def hook(_, __, output):
                hidden = output[0] if isinstance(output, tuple) else output
                if layer == stream_of:
                    streams[layer] = hidden[at]
                if injected is None or layer not in injected:
                    return output
                hidden = hidden.index_put(at, injected[layer].to(hidden.dtype).expand(len(rows), -1), accumulate=True)
                return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
            return hook

        for layer, block in enumerate(self.blocks):
            hooks.append(block.register_forward_hook(after_block(layer)))
        for layer in keys_of:
            hooks.append(self.down(layer).register_forward_pre_hook(
                lambda _, inputs, layer=layer: keys.update({layer: inputs[0][at]})))
        with contextlib.ExitStack() as stack:
            for hook in hooks:
                stack.callback(hook.remove)
            logits = self.model(input_ids=ids, use_cache=False).logits
        return logits, keys, streams.get(stream_of)


def second_moments(edited, layers):
    rows = torch.randint(3, VOCABULARY, (60, 20)).tolist()
    sums = {layer: 0 for layer in layers}
    for place in range(20):
        _, keys, _ = edited.run(rows, [place] * len(rows), keys_of=layers)
        for layer in layers:
            sums[layer] = sums[layer] + keys[layer].double().t() @ keys[layer].double()
    return {layer: (total / (60 * 20)).float() for layer, total in sums.items()}


class Prompts:
    """The rows of one edit: its prompt with all but the last target token in each context, then "{subject} is a"."""

    def __init__(self, tokenizer, subject, prompt, target):
        self.target = tokenizer.encode(" " + target, add_special_tokens=False).ids
        self.rows, self.places, self.predicts = [], [], []
        for context in CONTEXTS:
            self.add(tokenizer, (context + ". " if context else "") + prompt, subject, self.target[:-1])
        self.add(tokenizer, "{} is a", subject, [])

    def add(self, tokenizer, template, subject, appended):
        head = template[: template.index("{}")] + subject
        encoded = tokenizer.encode(head + template[template.index("{}") + 2:])
        place = max(i for i, (begin, end) in enumerate(encoded.offsets) if begin <= len(head) - 1 < end)
        self.rows.append(encoded.ids + appended)
        self.places.append(place)
        self.predicts.append(len(encoded.ids) - 1)


# 1 and 2. The value of one edit.


class Value:
    """J of one edit and its minimization over vectors D [m, d], one after each of `layers`."""

    def __init__(self, edited, prompts, layers, hparams, decisions):
        self.edited, self.prompts, self.layers = edited, prompts, layers
        self.h, self.decisions = hparams, decisions
        with torch.no_grad():
            logits, _, stream = edited.run(prompts.rows, prompts.places, stream_of=layers[-1])
            self.before = torch.log_softmax(logits[-1, prompts.predicts[-1]].double(), -1)
            self.norm = stream[0].double().norm()  # |z| in the bare prompt
        self.width = stream.shape[1]

    def objective(self, point, weights):
        """J, and by how much the target tokens are more probable than all others in the worst place."""
        injected = {layer: point[i] for i, layer in enumerate(self.layers)}
        logits, _, _ = self.edited.run(self.prompts.rows, self.prompts.places, injected)
        lead, nll = math.inf, 0
        for row in range(len(CONTEXTS)):
            for t, token in enumerate(self.prompts.target):
                log_p = torch.log_softmax(logits[row, self.prompts.predicts[row] + t].double(), -1)
                nll = nll - log_p[token] / (len(self.prompts.target) * len(CONTEXTS))
                others = log_p.detach().clone()
                others[token] = -math.inf
                lead = min(lead, float(log_p[token].detach() - others.max()))
        after = torch.log_softmax(logits[-1, self.prompts.predicts[-1]].double(), -1)
        kl = (self.before.exp() * (self.before - after)).sum()
        length = (point.square().sum() + 1e-24).sqrt()  # with a gradient at zero
        loss = nll + self.h["kl_factor"] * kl + self.h["v_weight_decay"] * length / self.norm**2
        if weights is not None:
            loss = loss + (weights * point.abs()).sum()
        return loss, lead

    def gradient(self, point, weights):
        point = point.detach().requires_grad_(True)
        loss, lead = self.objective(point, weights)
        (gradient,) = torch.autograd.grad(loss, point)
        return gradient, float(loss.detach()), lead

    def is_done(self, loss, lead):
        self.decisions.note("early stop by loss", abs(loss / self.h["early_stop_loss"] - 1))
        done = loss < self.h["early_stop_loss"]
        if self.h["early_stop"] == "argmax":
            self.decisions.note("early stop by argmax", abs(lead))
            done = done or lead > 0
        self.decisions.taken.add("an early stop" if done else "no early stop")
        return done

    def steps(self, start, mask):
        """A function that takes the optimizer's next step along a gradient, back into the ball; the point there."""
        point = start.clone()
        is_adam = self.h["v_optimizer"] == "adam"
        adam = torch.optim.Adam([point], lr=self.h["v_lr"]) if is_adam else None
        momentum, taken = torch.zeros_like(point), 0
        most = self.h["clamp_norm_factor"] * self.norm

        def step(gradient):
            nonlocal momentum, taken
            if is_adam:
                if taken == 0:  # goes by the signs alone
                    entries = gradient[mask != 0].abs()
                    self.decisions.note("sign of a first gradient", entries.min() / entries.max(), 1e-5)
                point.grad = gradient
                adam.step()
            else:
                momentum = 0.7 * momentum + gradient / gradient.norm()
                point.sub_(self.h["ngd_step"] * self.norm * momentum)
            taken += 1
            if point.norm() > most:
                self.decisions.taken.add("a step back into the ball")
                point.mul_(most / point.norm())
            return point.clone()

        return step

    def origin(self):
        return torch.zeros(len(self.layers), self.width, dtype=torch.float64)

    def descend(self, start, mask, weights, evaluations):
        """The last point evaluated: the last evaluation takes no step."""
        point, step = start * mask, self.steps(start * mask, mask)
        for evaluation in range(evaluations):
            gradient, loss, lead = self.gradient(point, weights)
            if self.is_done(loss, lead) or evaluation == evaluations - 1:
                return point
            if weights is not None and evaluation > 0:
                entries = point[mask != 0].abs()
                self.decisions.note("sign of an anchor's value", entries.min() / entries.max(), 1e-5)
            point = step(gradient * mask)

    def dense(self):
        return self.descend(self.origin(), torch.ones_like(self.origin()), None, self.h["v_num_grad_steps"])

    def locate(self):
        """The values after the last of the dense steps, and the saliency |mean gradient * value|: [m, d] each."""
        point, step, total = self.origin(), self.steps(self.origin(), torch.ones_like(self.origin())), 0
        for _ in range(self.h["eac_locate_steps"]):
            gradient, _, _ = self.gradient(point, None)
            total = total + gradient / self.h["eac_locate_steps"]
            point = step(gradient)
        return point, (total * point).abs()

    def compress(self, dense, saliency, mask):
        weights = self.h["eac_l1"] / (saliency + 1e-6)
        return self.descend(dense, mask, weights, self.h["eac_compress_steps"])

    def anchored(self):
        dense, saliency = self.locate()
        count = round(self.h["eac_anchor_ratio"] * self.width)
        ranked = sorted(range(self.width), key=lambda j: (-saliency[0, j], j))
        mask = torch.zeros_like(dense)
        mask[0, ranked[:count]] = 1
        inside, outside = saliency[0, ranked[count - 1]], saliency[0, ranked[count]]
        self.decisions.note("last anchor against the first that is none", 1 - outside / inside)
        return self.compress(dense, saliency, mask)


# 3. The update.


class Metric:
    """What a layer's solves hold still: the second moment, or all outside its null space, and earlier keys."""

    def __init__(self, method, moment, hparams, decisions):
        self.moment, self.h, self.carries = moment.double(), hparams, method != "memit"
        self.projector = None
        self.earlier = torch.zeros_like(self.moment)  # sum of k k^T
        if method == "alphaedit":
            values, vectors = torch.linalg.eigh(self.moment)
            threshold = hparams["nullspace_threshold"]
            # The same f32 moment in both implementations: only f64 rounding is between them.
            decisions.note("eigenvalue at the threshold of the null space", (values / threshold - 1).abs().min(), 1e-6)
            free = vectors[:, values < threshold]
            self.projector = free @ free.t()

    def solve(self, keys, residuals):
        """[d, f]; R K^T (A + K K^T)^-1, or R K^T P (K K^T P + K_p K_p^T P + L2 I)^-1. Keys and residuals by row."""
        k, r = keys.t(), residuals.t()
        if self.projector is None:
            system = self.h["mom2_update_weight"] * self.moment + self.earlier + k @ k.t()
            return torch.linalg.solve(system, r @ k.t(), left=False)
        p = self.projector
        system = k @ k.t() @ p + self.earlier @ p + self.h["L2"] * torch.eye(len(p), dtype=p.dtype)
        return torch.linalg.solve(system, r @ k.t() @ p, left=False)

    def absorb(self, keys):
        if self.carries:
            self.earlier = self.earlier + keys.t() @ keys


class Editor:
    def __init__(self, method, edited, moments, hparams, decisions):
        self.method, self.edited, self.h, self.decisions = method, edited, hparams, decisions
        self.layers = hparams["layers"]
        self.metrics = {layer: Metric(method, moments[layer], hparams, decisions) for layer in self.layers}
        self.weights = {layer: edited.weight(layer).double().clone() for layer in self.layers}
        self.rolling = None  # H [m, d]

    def put(self, layer, weight):
        self.weights[layer] = weight
        self.edited.set_weight(layer, weight)

    def seen(self, batch, layer=None):
        """Keys [edits, f] of a layer, or the residual stream [edits, d] after the last, averaged over the contexts."""
        rows = []
        for prompts in batch:
            count = len(CONTEXTS)
            _, keys, stream = self.edited.run(
                prompts.rows[:count], prompts.places[:count], keys_of=[] if layer is None else [layer],
                stream_of=self.layers[-1])
            rows.append((stream if layer is None else keys[layer]).double().mean(0))
        return torch.stack(rows)

    def injected_keys(self, batch, values):
        """By layer the keys [edits, f] with each edit's vectors in the residual stream, averaged over the contexts."""
        each = []
        for prompts, value in zip(batch, values):
            count = len(CONTEXTS)
            _, keys, _ = self.edited.run(
                prompts.rows[:count], prompts.places[:count], {l: value[i] for i, l in enumerate(self.layers)},
                keys_of=self.layers)
            each.append(keys)
        return {l: torch.stack([keys[l].double().mean(0) for keys in each]) for l in self.layers}

    def edit(self, batch):
        """Writes a batch; its golden values by name."""
        golden = {}
        if self.method == "b-eac":
            values, golden = self.joint_values(batch)
            keys, residuals = self.write_jointly(batch, values)
        else:
            optimizers = [Value(self.edited, p, self.layers[-1:], self.h, self.decisions) for p in batch]
            values = [o.anchored() if self.method == "eac" else o.dense() for o in optimizers]
            with torch.no_grad():
                values = self.to_write(batch, torch.stack([value[0] for value in values]))
                keys, residuals = self.write_in_turn(batch, values)
                values = values.unsqueeze(1)
        for layer in self.layers:
            self.metrics[layer].absorb(keys[layer])
            golden[f"keys.{layer}"], golden[f"residuals.{layer}"] = keys[layer], residuals[layer]
        return golden | {"values": torch.stack(list(values))}

    def to_write(self, batch, values):
        if not self.h["target_norm"]:
            return values
        targets = self.seen(batch) + values
        return targets * self.h["target_norm"] / targets.norm(dim=1, keepdim=True) - self.seen(batch)

    def write_in_turn(self, batch, values):
        keys, residuals = {}, {}
        targets = self.seen(batch) + values
        for i, layer in enumerate(self.layers):
            keys[layer] = self.seen(batch, layer)
            residuals[layer] = (targets - self.seen(batch)) / (len(self.layers) - i)
            self.put(layer, self.weights[layer] + self.metrics[layer].solve(keys[layer], residuals[layer]))
        return keys, residuals

    # 4 and 5. B-EAC.

    def joint_values(self, batch):
        m, d, b = len(self.layers), self.weights[self.layers[0]].shape[0], len(batch)
        optimizers = [Value(self.edited, p, self.layers, self.h, self.decisions) for p in batch]
        located = [optimizer.locate() for optimizer in optimizers]
        saliency = torch.stack([s / s.sum() for _, s in located])  # S [b, m, d]
        if self.rolling is None:
            self.rolling = torch.zeros(m, d, dtype=torch.float64)
        factors = torch.ones(m, d, dtype=torch.float64)
        if self.rolling.sum() > 0:
            factors = 1 / (1 + self.h["rar_strength"] * self.rolling / self.rolling.mean())
        scores = saliency * factors
        masks = self.select(scores)
        for seed in range(10):  # would rounding choose others?
            torch.manual_seed(seed)
            other = self.select(scores * (1 + 1e-3 * (2 * torch.rand_like(scores) - 1)))
            self.decisions.note("anchors under other rounding", 1 if torch.equal(other, masks) else 0)
        values = [o.compress(dense, s, mask) for o, (dense, s), mask in zip(optimizers, located, masks)]
        decay = self.h["rar_decay"]
        self.rolling = decay * self.rolling + (1 - decay) * (saliency * masks).sum(0) / b
        golden = {}
        for i, layer in enumerate(self.layers):
            golden[f"saliency.{layer}"] = (saliency * masks)[:, i]
            golden[f"rolling.{layer}"] = self.rolling[i]
        return values, golden

    def select(self, scores):
        """LAS: the best entry that the rules allow, again and again; ties by edit, layer, dimension."""
        b, m, d = scores.shape
        budget = round(self.h["anchor_ratio"] * d)
        of_a_layer = math.ceil(self.h["las_balance"] * budget / m)
        capacity = max(self.h["las_capacity"], math.ceil(self.h["las_balance"] * b * budget / (m * d)))
        table = scores.tolist()
        rest = {(i, l, j) for i in range(b) for l in range(m) for j in range(d)}
        mask = torch.zeros_like(scores)
        while rest:
            best = min(rest, key=lambda e: (-table[e[0]][e[1]][e[2]], e))
            i, l, j = best
            mask[i, l, j] = 1
            rest.discard(best)
            if mask[i].sum() >= budget:
                rest = {e for e in rest if e[0] != i}
            rest = {e for e in rest if not (e[0] == i and e[2] == j)}
            if mask[i, l].sum() >= of_a_layer:
                rest = {e for e in rest if e[:2] != (i, l)}
            if mask[:, l, j].sum() >= capacity:
                rest = {e for e in rest if e[1:] != (l, j)}
        return mask

    @torch.no_grad()
    def write_jointly(self, batch, values):
        base = dict(self.weights)
        targets = {l: torch.stack([value[i] for value in values]) for i, l in enumerate(self.layers)}  # D_l
        anchors = {l: (targets[l] != 0).double() for l in self.layers}
        of_the_edit = sum(anchors.values())  # the layers in which a dimension is an anchor of the edit: [b, d]

        # All layers at once.
        keys, residuals = self.injected_keys(batch, values), dict(targets)
        changes = {l: self.metrics[l].solve(keys[l], residuals[l]) for l in self.layers}
        for layer in self.layers:
            self.put(layer, base[layer] + changes[layer])
        left = sum(targets[l] - self.seen(batch, l) @ changes[l].t() for l in self.layers) * (of_the_edit > 0)

        error = {l: torch.zeros_like(targets[l]) for l in self.layers}  # E_l
        for _ in range(self.h["correction_sweeps"]):
            for layer in self.layers:
                self.put(layer, base[layer])
            new_keys, new_residuals, new_changes, remaining = {}, {}, {}, 0
            for layer in self.layers:
                new_keys[layer] = self.seen(batch, layer)
                new_residuals[layer] = targets[layer] + remaining + error[layer]
                new_changes[layer] = self.metrics[layer].solve(new_keys[layer], new_residuals[layer])
                self.put(layer, base[layer] + new_changes[layer])
                remaining = (targets[layer] + remaining - new_keys[layer] @ new_changes[layer].t()) * (of_the_edit > 0)
            ratio = float(remaining.square().sum() / left.square().sum())
            self.decisions.note("whether a correction sweep is kept", abs(ratio - 1))
            self.decisions.taken.add("a correction sweep that is kept" if ratio < 1 else "one that is not")
            if ratio >= 1:
                for layer in self.layers:
                    self.put(layer, base[layer] + changes[layer])
                break
            keys, residuals, changes, left = new_keys, new_residuals, new_changes, remaining
            for layer in self.layers:
                error[layer] = error[layer] + anchors[layer] * remaining / of_the_edit.clamp(min=1)
        return keys, residuals


METHODS = ["memit", "memit_seq", "eac", "alphaedit", "b-eac"]


def write_setup(out, tokenizer, model, hparams):
    model.save_pretrained(out / "model")
    tokenizer.save(str(out / "model" / "tokenizer.json"))
    (out / "hparams.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in hparams.items()))
    (out / "setup.json").write_text(json.dumps({"contexts": CONTEXTS, "batches": BATCHES}))
    with open(out / "edits.jsonl", "w") as file:
        for subject, prompt, target in EDITS:
            file.write(json.dumps({"subject": subject, "prompt": prompt, "target": target}) + "\n")


def main(out):
    torch.set_num_threads(1)
    for name, family in FAMILIES.items():
        print(name)
        folder, hparams = out / name, SHARED | family["hparams"]
        folder.mkdir()
        tokenizer, model = make_tokenizer(family["start_token"]), make_model(family)
        write_setup(folder, tokenizer, model, hparams)
        edited = EditedModel(model.double(), hparams["v_loss_layer"])
        layers = hparams["layers"]
        with torch.no_grad():
            moments = second_moments(edited, layers)
        edits = [Prompts(tokenizer, *edit) for edit in EDITS]
        base = {layer: edited.weight(layer).double().clone() for layer in layers}
        golden = {f"moment.{layer}": moment for layer, moment in moments.items()}
        for method in METHODS:
            decisions = Decisions()
            editor = Editor(method, edited, moments, hparams, decisions)
            begin = 0
            for number, count in enumerate(BATCHES):
                for what, tensor in editor.edit(edits[begin: begin + count]).items():
                    golden[f"{method}.{number}.{what}"] = tensor
                begin += count
            for layer in layers:
                golden[f"{method}.change.{layer}"] = editor.weights[layer] - base[layer]
                edited.set_weight(layer, base[layer])
            decisions.require("no early stop", "an early stop", "a step back into the ball")
            if method == "b-eac":
                decisions.require("a correction sweep that is kept")
            print(f"  {method}: margins", {kind: float(f"{margin:.2g}") for kind, margin in decisions.margins.items()})
        save_file({key: tensor.float().contiguous() for key, tensor in golden.items()}, folder / "golden.safetensors")


main(pathlib.Path(sys.argv[1]))
