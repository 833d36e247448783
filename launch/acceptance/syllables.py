"""A language of two-syllable words, each of them one token: its tokenizer, texts and edits.

A text of random words over many tokens gives keys that span their whole space, as general text does for a real model.
"""

import json
import random

SPECIAL = ("<pad>", "<s>", "</s>")
SYLLABLES = [consonant + vowel for vowel in "aeiou" for consonant in "bdfghjklmnpqrstvwxyz"]


def _byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each byte."""
    kept = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]


class Language:
    """The words over the first `syllables` of SYLLABLES."""

    def __init__(self, syllables: int):
        self.syllables = SYLLABLES[:syllables]
        self.words = [first + second for first in self.syllables for second in self.syllables]

    def merges(self) -> list[tuple[str, str]]:
        pairs = [(syllable[0], syllable[1]) for syllable in self.syllables]
        pairs += [(word[:2], word[2:]) for word in self.words]
        return pairs + [("\u0120", word) for word in self.words]  # a space and the word after it

    def tokens(self) -> list[str]:
        return [*SPECIAL, *_byte_letters(), *("".join(pair) for pair in self.merges())]

    def tokenizer(self) -> str:
        """tokenizer.json: byte-level BPE."""
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        switches = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        vocabulary = {token: number for number, token in enumerate(self.tokens())}
        return json.dumps({
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": number, "content": text, **switches} for number, text in enumerate(SPECIAL)],
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": [" ".join(pair) for pair in self.merges()]},
        })

    def text(self, tokens: int) -> str:
        """Lines of random words, at least so many tokens."""
        draw = random.Random(1)
        return "".join(" ".join(draw.choices(self.words, k=60)) + "\n" for _ in range(tokens // 60 + 1))

    def edits(self, count: int) -> list[dict[str, str]]:
        """Of subjects of two words, in three prompts, to targets of two words."""
        draw = random.Random(2)
        prompts = [f"{{}} {' '.join(draw.sample(self.words, words))}" for words in (1, 2, 3)]
        subjects = {" ".join(draw.sample(self.words, 2)): None for _ in range(2 * count)}
        if len(subjects) < count:
            raise ValueError(f"expected {count} subjects, found {len(subjects)} of {len(self.words)} words")
        targets = [" ".join(draw.sample(self.words, 2)) for _ in range(count)]
        return [
            {"id": f"e{number}", "subject": subject, "prompt": prompts[number % 3], "target": target}
            for number, (subject, target) in enumerate(zip(subjects, targets))
        ]


def json_lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
