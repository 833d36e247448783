"""Writes a Hugging Face directory as one GGUF file, by the package gguf; gguf_families.py comes before it.

Reads {"model": DIR, "name": NAME, "out": FILE, "type": "auto" | "f32" | "f16" | "bf16", "verify": BOOL} and writes
{"tensors": N, "type": NAME, "notes": [what llama.cpp computes otherwise than the model]}, both as JSON. Vectors and
position embeddings are F32, as llama.cpp needs them; matrices have the type asked for, or each its own. A tensor at a
time is in memory. Ends with a reason in the last line on stderr: "not installed: ..." where the package is missing,
"differs: ..." where the file does not read back as written, "beyond llama.cpp: ..." where it could not compute the
model.
"""

import ctypes
import json
import os
import re
import signal
from pathlib import Path

TYPE = gguf.GGMLQuantizationType
FILE_TYPES = {
    TYPE.F32: gguf.LlamaFileType.ALL_F32,
    TYPE.F16: gguf.LlamaFileType.MOSTLY_F16,
    TYPE.BF16: gguf.LlamaFileType.MOSTLY_BF16,
}
ALWAYS_F32 = {TENSOR.POS_EMBD}
# Of a checkpoint with vision: what its text model's tensors begin with, and those of the rest.
TEXT_MODEL = {
    "language_model.model.": "model.", "model.language_model.": "model.", "language_model.lm_head.": "lm_head."}
OTHER_MODELS = ("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector.")


class Checkpoint:
    """The tensors of a directory's safetensors files, read one by one; bf16 has no type in numpy."""

    NUMPY = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}

    def __init__(self, folder):
        self.places = {}
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
            for name, entry in header.items():
                if name != "__metadata__" and entry["dtype"] in self.NUMPY:
                    self.places[name] = (path, entry["dtype"], entry["shape"], 8 + length + entry["data_offsets"][0])

    def dtype(self, name):
        return TYPE[self.places[name][1]]

    def read(self, name):
        """The tensor in f32, exactly."""
        path, dtype, shape, offset = self.places[name]
        values = np.fromfile(path, self.NUMPY[dtype], math.prod(shape), offset=offset).reshape(shape)
        if dtype == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)


# llama.cpp's names of the ways to cut a text into words, by what tokenizer.json says of its pre-tokenizer: the kinds
# of its steps and the pattern of a Split. Some names also say that a word which is a token is not put together of
# merges, which tokenizer.json says by ignore_merges.
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PRE_TOKENIZERS = {
    (("ByteLevel",), False): "gpt-2",
    (("Digits", "ByteLevel"), False): "smollm",
    ((LLAMA3, "ByteLevel"), True): "llama-bpe",
    ((LLAMA3, "ByteLevel"), False): "dbrx",  # Phi-4
    ((QWEN2, "ByteLevel"), False): "qwen2",
    ((GPT4O, "ByteLevel"), False): "gpt-4o",  # Phi-4 mini
    ((TEKKEN, "ByteLevel"), True): "tekken",  # Mistral Nemo
    ((TEKKEN, "ByteLevel"), False): "tekken",
}


def kind_of(step):
    if step.get("type") != "Split":
        return step.get("type")
    # Either way the words are the matches, where the pattern leaves nothing over.
    words_are_matches = (step.get("behavior"), step.get("invert", False)) in (("Isolated", False), ("Removed", True))
    return step["pattern"].get("Regex", "") if words_are_matches else ""


def pre_tokenizer_of(tokenizer):
    step = tokenizer.get("pre_tokenizer") or {}
    steps = step.get("pretokenizers", [step])
    kinds = tuple(kind_of(one) for one in steps), bool(tokenizer["model"].get("ignore_merges"))
    if kinds not in PRE_TOKENIZERS:
        sys.exit(f"a pre-tokenizer that has no name here: {json.dumps(steps)[:300]}")
    return PRE_TOKENIZERS[kinds]


def is_sentence_piece(tokenizer):
    return bool(tokenizer["model"].get("byte_fallback"))


def pair_of(merge):
    return merge if isinstance(merge, list) else merge.split(" ", 1)


def scores_of(tokenizer, tokens):
    """As in a sentencepiece model: of two merges the one with the higher score comes first."""
    rank = {}
    for number, merge in enumerate(tokenizer["model"]["merges"]):
        rank.setdefault("".join(pair_of(merge)), number)
    return [-float(rank.get(token, 0)) for token in tokens]


def add_vocabulary(writer, folder, tokenizer, rows):
    if tokenizer["model"].get("type") != "BPE":
        sys.exit(f"a tokenizer of the type '{tokenizer['model'].get('type')}'")
    pieces = is_sentence_piece(tokenizer)
    tokens = [f"[PAD{row}]" for row in range(rows)]
    types = [gguf.TokenType.UNUSED] * rows
    added = {token["id"]: token for token in tokenizer.get("added_tokens", [])}
    for token, row in {**tokenizer["model"]["vocab"], **{token["content"]: row for row, token in added.items()}}.items():
        if row >= rows:
            sys.exit(f"a token '{token}', number {row}, beyond the {rows} rows of the embedding")
        tokens[row], types[row] = token, gguf.TokenType.NORMAL
        if pieces and len(token) == 6 and token.startswith("<0x"):
            types[row] = gguf.TokenType.BYTE
        if row in added:
            types[row] = gguf.TokenType.CONTROL if added[row]["special"] else gguf.TokenType.USER_DEFINED
            if pieces and not added[row]["special"]:
                tokens[row] = token.replace("\u2581", " ")  # llama.cpp looks for it in the text as it is
        if token == tokenizer["model"].get("unk_token"):
            types[row] = gguf.TokenType.UNKNOWN
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default" if pieces else pre_tokenizer_of(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if pieces:
        writer.add_token_scores(scores_of(tokenizer, tokens))
        writer.add_add_space_prefix("prepend" in json.dumps([tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")]).lower())
    gguf.SpecialVocab(folder, load_merges=not pieces, n_vocab=rows).add_to_gguf(writer, quiet=True)


@dataclass
class Tensor:
    name: str  # in GGUF
    type: TYPE
    shape: tuple
    read: Callable  # its values in f32, as GGUF has them

    def stored(self):
        return gguf.quants.quantize(np.ascontiguousarray(self.read()), self.type)

    def stored_bytes(self):
        return math.prod(self.shape) * (4 if self.type == TYPE.F32 else 2)


def type_of(key, dtype, is_vector, wanted):
    if is_vector or key in ALWAYS_F32:
        return TYPE.F32
    return dtype if wanted == "auto" else TYPE[wanted.upper()]


def in_text_model(name):
    """The tensor's name as in a checkpoint of the text model alone."""
    prefix = next((prefix for prefix in TEXT_MODEL if name.startswith(prefix)), "")
    return TEXT_MODEL.get(prefix, "") + name[len(prefix):]


def same_values(checkpoint, name, other):
    return checkpoint.dtype(name) == checkpoint.dtype(other) and np.array_equal(
        checkpoint.read(name), checkpoint.read(other))


def tensors_of(checkpoint, family, config, wanted):
    names = gguf.TensorNameMap(family.arch, config[family.layers])
    sources = {in_text_model(source): source for source in checkpoint.places if not source.startswith(OTHER_MODELS)}
    tensors = []
    for plain, source in sources.items():
        if plain.endswith(family.skipped):
            continue
        shape = checkpoint.places[source][2]
        found = names.get_type_and_name(plain, try_suffixes=(".weight", ".bias"))
        if found is None:
            embedding = sources.get("model.embed_tokens.weight")
            if plain == "lm_head.weight" and same_values(checkpoint, source, embedding):
                continue  # llama.cpp ties it always
            sys.exit(f"a tensor '{source}' that has no name in GGUF")
        key, name = found
        change = family.changes.get(key, lambda values, _: values)
        kind = type_of(key, checkpoint.dtype(source), len(shape) == 1, wanted)
        tensors.append(Tensor(name, kind, tuple(reversed(shape) if change is transposed else shape),
                              lambda source=source, change=change: change(checkpoint.read(source), config)))
    for key, values in (rotary_tensors(config) if family.scalings != ("default",) else {}).items():
        tensors.append(Tensor(f"{gguf.TENSOR_NAMES[key]}.weight", TYPE.F32, values.shape, lambda values=values: values))
    return tensors


def end_with_parent():
    """Has the kernel end this process with the one that started it, whose input is a file: it may be gone already."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit("the program that writes the export has ended")


def main_type(tensors):
    sizes = {}
    for tensor in tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + 1
    two_bytes = [kind for kind in (TYPE.BF16, TYPE.F16) if kind in sizes]
    return max(two_bytes, key=sizes.get) if two_bytes else TYPE.F32


def model_name(name, family, tokenizer):
    """llama.cpp strips spaces after Phi-3's special tokens where the name has Phi-3 in it, and needs these then."""
    named, tokens = re.compile("phi-?3", re.IGNORECASE), tokenizer["model"]["vocab"].keys()
    added = {token["content"] for token in tokenizer.get("added_tokens", [])}
    if not {"<unk>", "<s>", "<|endoftext|>"} <= tokens | added:
        return named.sub("Phi", name)
    return name if family.arch != ARCH.PHI3 or named.search(name) else f"{name} (Phi-3)"


def write(folder, name, out, family, config, tensors, rows):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[family.arch])
    writer.add_type("model")
    writer.add_name(model_name(name, family, tokenizer))
    writer.add_vocab_size(rows)
    writer.add_file_type(FILE_TYPES[main_type(tensors)])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    family.add_hyper_parameters(writer, config)
    add_vocabulary(writer, folder, tokenizer, rows)
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.stored_bytes(), tensor.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.stored())
    writer.close()


def verify(out, tensors):
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(out).tensors}
    if set(found) != {tensor.name for tensor in tensors}:
        sys.exit("differs: other tensors than were written")
    for tensor in tensors:
        read, stored = found[tensor.name], tensor.stored()
        if read.tensor_type != tensor.type or read.data.tobytes() != stored.tobytes():
            sys.exit(f"differs: another tensor '{tensor.name}' than was written")


def main():
    end_with_parent()
    request = json.load(sys.stdin)
    folder, out = Path(request["model"]), Path(request["out"])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family = family_of(config)
    config = text_config(config, family)
    check(config, family)
    checkpoint = Checkpoint(folder)
    tensors = tensors_of(checkpoint, family, config, request["type"])
    embedding = f"{gguf.TENSOR_NAMES[TENSOR.TOKEN_EMBD]}.weight"
    rows = next(tensor.shape[0] for tensor in tensors if tensor.name == embedding)
    write(folder, request["name"], out, family, config, tensors, rows)
    if request["verify"]:
        verify(out, tensors)
    json.dump({"tensors": len(tensors), "type": main_type(tensors).name, "notes": family.notes(config)}, sys.stdout)


main()
