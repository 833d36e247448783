"""Small tokenizers with what is odd in the tokenizer.json files of known families.

FAMILIES gives for a name what makes its tokenizer; OLDER_FILES names those that are written as older versions of
`tokenizers` did.
"""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenizer_parts import (BYTES, CJK, DEEPSEEK3, LLAMA3, O200K, QWEN2, TEKKEN, byte_level, byte_level_bpe, split_and_bytes,
                             trained)


def starts_with(tokenizer, start, first=()):
    """Puts the token `start` before a text, after other post-processors."""
    template = processors.TemplateProcessing(single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1",
                                             special_tokens=[(start, tokenizer.token_to_id(start))])
    tokenizer.post_processor = processors.Sequence([*first, template]) if first else template
    return tokenizer


def changed(tokenizer, change):
    """Of the tokenizer's file, what `change` makes of it."""
    description = json.loads(tokenizer.to_str())
    change(description)
    return Tokenizer.from_str(json.dumps(description))


def without_merges(tokenizer, every):
    """Without some of the merges: then tokens are left that no merges lead to."""
    def change(description):
        merges = description["model"]["merges"]
        description["model"]["merges"] = [merge for i, merge in enumerate(merges) if i % every]
    return changed(tokenizer, change)


def with_added(tokenizer, kept):
    """With `kept` alone as added tokens: training marks all its special tokens, the byte tokens too, as added."""
    def change(description):
        description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] in kept]
    return changed(tokenizer, change)


# GPT-2 and what has its words


def gpt2_style():
    tokenizer = byte_level_bpe(["<|endoftext|>"], byte_level())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def gptj_style():
    tokenizer = gpt2_style()
    tokenizer.add_tokens([AddedToken(f"<|extratoken_{i}|>", normalized=True) for i in range(1, 144)])
    return tokenizer


def gpt_neox_style():
    tokenizer = byte_level_bpe(["<|endoftext|>"], byte_level(), normalizers.NFC())
    tokenizer.add_tokens([" " * n for n in range(8, 1, -1)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    return tokenizer


def phi2_style():
    tokenizer = gpt2_style()
    runs = [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)]
    tokenizer.add_tokens([AddedToken(run, normalized=True) for run in runs])
    return tokenizer


def smollm2_style():
    digits = pre_tokenizers.Digits(individual_digits=True)
    return byte_level_bpe(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pre_tokenizers.Sequence([digits, byte_level()]))


# Byte-level with patterns of their own


def llama3_style():
    tokenizer = without_merges(byte_level_bpe([], split_and_bytes(LLAMA3), ignore_merges=True), every=3)
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>", *[f"<|reserved_special_token_{i}|>" for i in range(20)]])
    return starts_with(tokenizer, "<|begin_of_text|>", [processors.ByteLevel(trim_offsets=False)])


def qwen2_style():
    tokenizer = byte_level_bpe([], split_and_bytes(QWEN2), normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("éa", normalized=True), AddedToken("<pad>", normalized=False)])
    return tokenizer


def qwen(special, others):
    tokenizer = byte_level_bpe([], split_and_bytes(QWEN2), normalizers.NFC())
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in others])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    return tokenizer


def qwen3_style():
    return qwen(["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_suffix|>", "<think>", "</think>"])


def r1_qwen_style():
    return qwen(["<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>"], ["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"])


def phi4_style():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>", "<|fim_prefix|>", *[f"<|dummy_{i}|>" for i in range(20)]]
    words = pre_tokenizers.Split(Regex(LLAMA3), "removed", invert=True)
    return byte_level_bpe([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in special],
                          pre_tokenizers.Sequence([words, byte_level(use_regex=False)]))


def nemo_style():
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", *[f"<SPECIAL_{i}>" for i in range(6, 1000)]]
    tokenizer = trained(models.BPE(ignore_merges=True), special, None, split_and_bytes(TEKKEN), decoders.ByteLevel(), vocabulary=2500)
    return starts_with(without_merges(tokenizer, every=4), "<s>")


def o200k_style():
    return byte_level_bpe(["<|endoftext|>"], split_and_bytes(O200K))


def deepseek3_style():
    return byte_level_bpe(["<s>", "</s>"], split_and_bytes(r"\p{N}{1,3}", CJK, DEEPSEEK3))


# SentencePiece's vocabularies


def strip_one_space():
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def pieces(special, decoder, normalizer=None, pre_tokenizer=None, vocabulary=1500, byte_tokens=BYTES):
    """Learns words with the spaces before them, runs too, as SentencePiece does, whatever the tokenizer itself splits at."""
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    before = pre_tokenizers.Sequence([pre_tokenizers.Metaspace("▁", "always", split=False),
                                      pre_tokenizers.Split(Regex("▁+[^▁]*|[^▁]+"), "isolated")])
    tokenizer = trained(model, [*special, *byte_tokens], None, before, decoder, limit_alphabet=300, vocabulary=vocabulary)
    tokenizer = with_added(tokenizer, kept={getattr(token, "content", token) for token in special})

    def change(description):
        for part, value in (("normalizer", normalizer), ("pre_tokenizer", pre_tokenizer)):
            description[part] = value
    return changed(tokenizer, change)


PREPEND_AND_REPLACE = {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
METASPACE_FIRST = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}


def llama2_style():
    return starts_with(pieces(["<unk>", "<s>", "</s>"], strip_one_space(), PREPEND_AND_REPLACE), "<s>")


def llama2_published_style():
    special = [AddedToken(token, normalized=True) for token in ("<unk>", "<s>", "</s>")]
    return starts_with(pieces(special, strip_one_space(), PREPEND_AND_REPLACE), "<s>")


def mistral_style():
    return starts_with(pieces(["<unk>", "<s>", "</s>"], strip_one_space(), None, METASPACE_FIRST), "<s>")


def mistral3_style():
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", *[f"[control_{i}]" for i in range(8, 773)]]
    return starts_with(pieces(special, strip_one_space(), None, METASPACE_FIRST, vocabulary=2300), "<s>")


def phi3_style():
    tokenizer = pieces(["<unk>", "<s>", AddedToken("</s>", rstrip=True)], strip_one_space(), PREPEND_AND_REPLACE)
    chat = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", "<|placeholder1|>"]
    tokenizer.add_special_tokens([AddedToken(token, rstrip=token != "<|endoftext|>", normalized=False) for token in chat])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])

    def change(description):
        for token in description["added_tokens"]:
            token["special"] = token["content"] != "</s>"
    return changed(tokenizer, change)


def gemma(unused):
    """A tab is a token of its own in place of its byte's, and runs are added tokens that are not special."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    runs = ["\n" * n for n in range(1, 32)] + ["▁" * n for n in range(2, 32)] + ["<table>", "</table>", "<h1>", "<strong>"]
    others = [*[f"<unused{i}>" for i in range(unused)], *runs]
    added = [AddedToken(token, normalized=False) for token in (*special, *others)]
    tokenizer = pieces(added, decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
                       {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                       {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                       vocabulary=1500 + unused, byte_tokens=["\t" if byte == "<0x09>" else byte for byte in BYTES])

    def change(description):
        for token in description["added_tokens"]:
            token["special"] = token["content"] in special
    return starts_with(changed(tokenizer, change), "<bos>")


FAMILIES = {
    "gpt2_style": gpt2_style,
    "gptj_style": gptj_style,
    "gpt_neox_style": gpt_neox_style,
    "phi2_style": phi2_style,
    "smollm2_style": smollm2_style,
    "llama3_style": llama3_style,
    "qwen2_style": qwen2_style,
    "qwen3_style": qwen3_style,
    "r1_qwen_style": r1_qwen_style,
    "phi4_style": phi4_style,
    "nemo_style": nemo_style,
    "o200k_style": o200k_style,
    "deepseek3_style": deepseek3_style,
    "llama2_style": llama2_style,
    "llama2_published_style": llama2_published_style,
    "mistral_style": mistral_style,
    "mistral3_style": mistral3_style,
    "phi3_style": phi3_style,
    "gemma2_style": lambda: gemma(unused=99),
    "gemma3_style": lambda: gemma(unused=6242),
}

OLDER_FILES = {"gptj_style", "gpt_neox_style", "phi2_style", "r1_qwen_style", "llama2_published_style", "phi3_style"}


def as_older_versions_wrote(description):
    """Merges as strings, and without the keys that came later, where they have their default."""
    model = description["model"]
    model["merges"] = [" ".join(merge) for merge in model["merges"]]
    for key in ("ignore_merges", "byte_fallback"):
        if not model[key]:
            del model[key]
    for part in ("pre_tokenizer", "post_processor", "decoder"):
        if (description[part] or {}).get("use_regex"):
            del description[part]["use_regex"]
    return description
