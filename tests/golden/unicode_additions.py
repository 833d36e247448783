"""Writes io/tokenizer/unicode_additions.inc: the characters that the regular expressions of `tokenizers` class and that
the Unicode of this Python does not know (14.0 in Debian 12, one before ICU 72's). Run it again when `tokenizers` moves
to another Unicode:

    python3 tests/golden/unicode_additions.py > io/tokenizer/unicode_additions.inc
"""

import unicodedata

import tokenizers
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So").split()


def matches(pattern, text):
    pieces = Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
    return sorted(ord(text[i]) for _, (begin, end) in pieces for i in range(begin, end))


def ranges(code_points):
    result = []
    for code in code_points:
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


unknown = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) == "Cn")
print(f"// Made by tests/golden/unicode_additions.py with tokenizers {tokenizers.__version__}: "
      f"what Unicode {unicodedata.unidata_version} does not know.")
print("// clang-format off")
for category in CATEGORIES:
    found = ranges(matches(rf"\p{{{category}}}", unknown))
    for row in range(0, len(found), 4):
        print(" ".join(f"{{U_GC_{category.upper()}_MASK, 0x{a:05x}, 0x{b:05x}}}," for a, b in found[row:row + 4]))
print("// clang-format on")
