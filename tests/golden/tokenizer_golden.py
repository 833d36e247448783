"""Makes a tokenizer.json and what the `tokenizers` package does with it, for tests/unit/io/tokenizer/tokenizer_golden_test.cpp.

    python3 tokenizer_golden.py NAME OUT [SOURCE]

writes OUT/tokenizer.json and OUT/golden.json. A NAME of FAMILIES, `TRAINED` or `EVERY` is a small vocabulary trained on the
test's own texts, with what is odd in a known family's files or with rarer settings. Other names take SOURCE: a
tokenizer.json, or one that xz has packed.
"""

import json
import lzma
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenizer_families import FAMILIES, OLDER_FILES, as_older_versions_wrote, with_added
from tokenizer_parts import BYTES, LLAMA3, byte_level, byte_level_bpe, split_and_bytes, trained
from tokenizer_strings import around_tokens, every_character, strings


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


def digit_runs():
    return byte_level_bpe(["<s>"], pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), byte_level()]))


def word_characters():
    return byte_level_bpe([], split_and_bytes(r"[\w']+|\d|[^\w\s]|\h+|\p{^L}\P{N}", r"\W$|^\w"))


def metaspace(scheme, split, normalizer=None):
    decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", scheme, split)])
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split)
    tokenizer = trained(model, ["<unk>", "<s>", "</s>", *BYTES], normalizer, pre_tokenizer, decoder, limit_alphabet=300)
    tokenizer = with_added(tokenizer, kept=["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=None, special_tokens=[("<s>", 1), ("</s>", 2)])
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
    "gpt2_prefix_space": gpt2_prefix_space,
    "trimmed_offsets": trimmed_offsets,
    "digit_runs": digit_runs,
    "word_characters": word_characters,
    "metaspace_first": lambda: metaspace("first", True),
    "metaspace_always": lambda: metaspace("always", False),
    "metaspace_never": lambda: metaspace("never", True),
    "metaspace_first_after_steps": lambda: metaspace("first", True, normalizers.Sequence(
        [normalizers.Strip(), normalizers.Replace("The", ""), normalizers.NFC()])),
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


def small(name):
    tokenizer = (FAMILIES | TRAINED | EVERY)[name]()
    description = json.loads(tokenizer.to_str())
    return json.dumps(as_older_versions_wrote(description) if name in OLDER_FILES else description)


def read(source):
    packed = source.endswith(".xz")
    return (lzma.open(source) if packed else open(source, "rb")).read().decode()


def main(name, out, source=None):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    text = small(name) if source is None else read(source)
    (out / "tokenizer.json").write_text(text)
    tokenizer = Tokenizer.from_str(text)
    added = [token["content"] for token in json.loads(text)["added_tokens"]]
    texts = every_character() if name in EVERY else strings() + around_tokens(added)
    (out / "golden.json").write_text(json.dumps(golden(tokenizer, texts)))


if __name__ == "__main__":
    main(*sys.argv[1:])
