"""Makes a tokenizer.json and what the `tokenizers` package does with it, for tests/unit/io/tokenizer/tokenizer_golden_test.cpp.

    python3 tokenizer_golden.py NAME OUT [SOURCE]

writes OUT/tokenizer.json and OUT/golden.json. A NAME of `TRAINED` or `EVERY` is a small vocabulary trained on the test's own
texts, with the normalizer, pre-tokenizer, decoder and so on of a known family or with rarer settings. Other names take
SOURCE: a tokenizer.json, or for `llama3` and `qwen2` the ranks in tiktoken's form.
"""

import base64
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_strings import every_character, strings

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CJK = "[一-龥\u3040-ゟ゠-ヿ]+"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level(prefix_space=False, use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=use_regex)


def split_and_bytes(*patterns):
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated", invert=False) for pattern in patterns]
    return pre_tokenizers.Sequence([*splits, byte_level(use_regex=False)])


def trained(model, special, normalizer=None, pre_tokenizer=None, decoder=None, limit_alphabet=None, vocabulary=1500):
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        tokenizer.decoder = decoder
    alphabet = pre_tokenizers.ByteLevel.alphabet() if isinstance(decoder, decoders.ByteLevel) else []
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
                                  max_token_length=16, **({"limit_alphabet": limit_alphabet} if limit_alphabet else {}))
    tokenizer.train_from_iterator([text for text in strings() if len(text) < 1000], trainer)
    return tokenizer


def byte_level_bpe(special, pre_tokenizer, normalizer=None, **model):
    return trained(models.BPE(**model), special, normalizer, pre_tokenizer, decoders.ByteLevel())


def gpt2_style():
    tokenizer = byte_level_bpe(["<|endoftext|>"], byte_level())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def gpt2_prefix_space():
    tokenizer = byte_level_bpe(["<s>", "</s>", "<mask>"], byte_level(prefix_space=True))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return tokenizer


def trimmed_offsets():
    tokenizer = byte_level_bpe([], split_and_bytes(LLAMA3))
    tokenizer.add_special_tokens([AddedToken("<s>", lstrip=True, rstrip=True), "</s>"])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False),
                                                    processors.ByteLevel(trim_offsets=True)])
    return tokenizer


def llama3_style():
    tokenizer = byte_level_bpe([], split_and_bytes(LLAMA3), ignore_merges=True)
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>", *[f"<|reserved_special_token_{i}|>" for i in range(20)]])
    start = tokenizer.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B:1",
                                             special_tokens=[("<|begin_of_text|>", start)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen2_style():
    tokenizer = byte_level_bpe([], split_and_bytes(QWEN2), normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("éa", normalized=True), AddedToken("<pad>", normalized=False)])
    return tokenizer


def smollm2_style():
    digits = pre_tokenizers.Digits(individual_digits=True)
    return byte_level_bpe(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pre_tokenizers.Sequence([digits, byte_level()]))


def gpt_neox_style():
    tokenizer = byte_level_bpe(["<|endoftext|>"], byte_level(), normalizers.NFC())
    tokenizer.add_tokens([" " * n for n in range(8, 1, -1)])
    return tokenizer


def digit_runs():
    return byte_level_bpe(["<s>"], pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), byte_level()]))


def o200k_style():
    return byte_level_bpe(["<|endoftext|>"], split_and_bytes(O200K))


def deepseek3_style():
    return byte_level_bpe(["<s>", "</s>"], split_and_bytes(r"\p{N}{1,3}", CJK, DEEPSEEK3))


def word_characters():
    return byte_level_bpe([], split_and_bytes(r"[\w']+|\d|[^\w\s]|\h+|\p{^L}\P{N}", r"\W$|^\w"))


def llama2_style(scheme="normalizer"):
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    before = pre_tokenizers.Metaspace("▁", "always")  # learn words, as SentencePiece does; the model itself sees none
    tokenizer = trained(model, ["<unk>", "<s>", "</s>", *BYTES], None, before, decoder, limit_alphabet=300)
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence(steps)
    return with_added(tokenizer, special=["<unk>", "<s>", "</s>"])


def metaspace(scheme, split, normalizer=None):
    decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", scheme, split)])
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split)
    tokenizer = trained(model, ["<unk>", "<s>", "</s>", *BYTES], normalizer, pre_tokenizer, decoder, limit_alphabet=300)
    return with_added(tokenizer, special=["<unk>", "<s>", "</s>"])


def gemma_style():
    pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = trained(model, ["<pad>", "<unk>", *BYTES], normalizers.Replace(" ", "▁"), pre_tokenizer, decoder, limit_alphabet=300)
    return with_added(tokenizer, special=["<pad>", "<unk>"])


def with_added(tokenizer, special):
    """Added anew from the file, because training marks all its special tokens, the byte tokens too, as added."""
    description = json.loads(tokenizer.to_str())
    kept = [token for token in description["added_tokens"] if token["content"] in special]
    description["added_tokens"] = kept
    tokenizer = Tokenizer.from_str(json.dumps(description))
    first = tokenizer.token_to_id(special[-1])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{special[-1]} $A {special[-1]}", pair=None,
                                                             special_tokens=[(special[-1], first)])
    return tokenizer


def added_token_flags():
    steps = [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    tokenizer = byte_level_bpe(["<s>"], byte_level(), normalizers.Sequence(steps))
    tokenizer.add_special_tokens([AddedToken("[LEFT]", lstrip=True), AddedToken("[RIGHT]", rstrip=True),
                                  AddedToken("[BOTH]", lstrip=True, rstrip=True)])
    tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=False), AddedToken("ADDED", normalized=True),
                          AddedToken("éa", normalized=False), AddedToken(" <s", normalized=True), AddedToken("\u00a0", normalized=False),
                          AddedToken("ord", normalized=False, lstrip=True), AddedToken("the", single_word=True, normalized=True)])
    return tokenizer


def strip_and_nfkd():
    steps = [normalizers.NFKD(), normalizers.Strip(), normalizers.Replace("'", "")]
    return byte_level_bpe(["<s>"], byte_level(), normalizers.Sequence(steps))


def unknown(fuse, **model):
    normalizer = normalizers.NFD()
    return trained(models.BPE(unk_token="<unk>", fuse_unk=fuse, **model), ["<unk>", "<0xC3>", "<0xA9>", "<0xCC>", "<0x81>"], normalizer,
                   pre_tokenizers.WhitespaceSplit(), decoders.Fuse(), limit_alphabet=60)


def no_unknown():
    return trained(models.BPE(), ["<s>"], None, pre_tokenizers.WhitespaceSplit(), None, limit_alphabet=60)


def split(pattern, behavior, invert):
    splitter = pre_tokenizers.Split(pattern, behavior, invert)
    return byte_level_bpe(["<s>"], pre_tokenizers.Sequence([splitter, byte_level(use_regex=False)]))


def only(pattern):
    """Of a text, the characters that match."""
    return split(Regex(pattern), "removed", True)


def normalized_bytes(normalizer):
    return byte_level_bpe(["<s>"], byte_level(use_regex=False), normalizer)


# Compared on every character of Unicode.
EVERY = {
    "every_letter": lambda: only(r"\p{L}"),
    "every_number": lambda: only(r"\p{N}|\d"),
    "every_mark_and_symbol": lambda: only(r"[\p{M}\p{S}]"),
    "every_punctuation": lambda: only(r"\p{P}"),
    "every_other": lambda: only(r"[^\s\p{L}\p{N}]"),
    "every_case": lambda: only(r"\p{Lu}(?i:k)|(?i:s)|\p{Lu}"),
    "every_word_character": lambda: only(r"\w|[\w]"),
    "every_space": lambda: only(r"\s"),
    "every_nfc": lambda: normalized_bytes(normalizers.NFC()),
    "every_nfd": lambda: normalized_bytes(normalizers.NFD()),
    "every_nfkc": lambda: normalized_bytes(normalizers.NFKC()),
    "every_nfkd": lambda: normalized_bytes(normalizers.NFKD()),
}

TRAINED = {
    "gpt2_style": gpt2_style,
    "gpt2_prefix_space": gpt2_prefix_space,
    "trimmed_offsets": trimmed_offsets,
    "llama3_style": llama3_style,
    "qwen2_style": qwen2_style,
    "smollm2_style": smollm2_style,
    "gpt_neox_style": gpt_neox_style,
    "digit_runs": digit_runs,
    "o200k_style": o200k_style,
    "deepseek3_style": deepseek3_style,
    "word_characters": word_characters,
    "llama2_style": llama2_style,
    "metaspace_first": lambda: metaspace("first", True),
    "metaspace_always": lambda: metaspace("always", False),
    "metaspace_never": lambda: metaspace("never", True),
    "metaspace_first_after_steps": lambda: metaspace("first", True, normalizers.Sequence(
        [normalizers.Strip(), normalizers.Replace("The", ""), normalizers.NFC()])),
    "gemma_style": gemma_style,
    "added_token_flags": added_token_flags,
    "strip_and_nfkd": strip_and_nfkd,
    "unknown_fused": lambda: unknown(True),
    "unknown_single": lambda: unknown(False),
    "unknown_and_some_bytes": lambda: unknown(True, byte_fallback=True),
    "no_unknown": no_unknown,
    "split_merged_with_previous": lambda: split(Regex(r"\s"), "merged_with_previous", False),
    "split_merged_with_next": lambda: split(" ", "merged_with_next", False),
    "split_contiguous": lambda: split(Regex(r"[\p{P}\s]"), "contiguous", False),
    "split_removed": lambda: split(Regex(r"\s*"), "removed", False),
    "split_removed_inverted": lambda: split(Regex(r"\p{L}+|\p{N}"), "removed", True),
    "split_merged_inverted": lambda: split(Regex(r"\p{L}+"), "merged_with_previous", True),
}


def from_tiktoken(path, special, normalizer, pattern, ignore_merges):
    """Ranks are ids, and the merges those pairs of tokens that give a token, in the order of its rank (as `transformers`
    converts them: for each token all its splits into two tokens, the ones with lower ranks first)."""
    ranks = {}
    for line in Path(path).read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    characters = bytes_to_characters()
    spell = {token: "".join(characters[byte] for byte in token) for token in ranks}
    merges = []
    for token in sorted(ranks, key=ranks.get):
        splits = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += sorted(splits, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    tokenizer = Tokenizer(models.BPE({spell[token]: rank for token, rank in ranks.items()},
                                     [(spell[a], spell[b]) for a, b in merges], ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split_and_bytes(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer


def bytes_to_characters():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def llama3(source):
    special = ["<|begin_of_text|>", "<|end_of_text|>", *[f"<|reserved_special_token_{i}|>" for i in range(254)]]
    tokenizer = from_tiktoken(source, special, None, LLAMA3, ignore_merges=True)
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", pair=None, special_tokens=[("<|begin_of_text|>", 128000)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen2(source):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return from_tiktoken(source, special, normalizers.NFC(), QWEN2, ignore_merges=False)


def golden(tokenizer, texts):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    plain = tokenizer.encode_batch(texts, add_special_tokens=False)
    whole = tokenizer.encode_batch(texts, add_special_tokens=True)
    ids = [encoding.ids for encoding in plain]
    with_special = [encoding.ids for encoding in whole]
    shuffled = [row[::-1] for row in ids]  # sequences that no text gives: broken characters, tokens out of place
    return {
        "vocabulary_size": tokenizer.get_vocab_size(),
        "texts": texts,
        "ids": ids,
        "with_special": with_special,
        "offsets": [encoding.offsets for encoding in plain],
        "offsets_with_special": [encoding.offsets for encoding in whole],
        "decoded": tokenizer.decode_batch(with_special, skip_special_tokens=False),
        "decoded_without_special": tokenizer.decode_batch(with_special, skip_special_tokens=True),
        "decoded_backwards": tokenizer.decode_batch(shuffled, skip_special_tokens=False),
    }


def main(name, out, source=None):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if name in TRAINED or name in EVERY:
        tokenizer = (TRAINED | EVERY)[name]()
    elif name in ("llama3", "qwen2"):
        tokenizer = {"llama3": llama3, "qwen2": qwen2}[name](source)
    else:
        tokenizer = Tokenizer.from_file(source)
    if source is not None and source.endswith(".json"):
        (out / "tokenizer.json").write_bytes(Path(source).read_bytes())
    else:
        tokenizer.save(str(out / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    (out / "golden.json").write_text(json.dumps(golden(tokenizer, every_character() if name in EVERY else strings())))


if __name__ == "__main__":
    main(*sys.argv[1:])
