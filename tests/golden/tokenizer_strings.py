"""The texts on which our tokenizer is compared with the `tokenizers` package: strings() gives the same ones always."""

import random
import unicodedata

SENTENCES = [
    "All human beings are born free and equal in dignity and rights.",
    "The Eiffel Tower, built in 1889, is 330 metres tall; it isn't the world's tallest structure anymore.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Œuvre, façade, où, ça.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Straße, Größe, ẞ.",
    "Todos los seres humanos nacen libres e iguales: ¿verdad? ¡Sí! Niño, pingüino.",
    "Wszyscy ludzie rodzą się wolni i równi. Zażółć gęślą jaźń.",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm.",
    "Tüm insanlar hür doğar; İstanbul'da ısı IĞDIR.",
    "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "Всі люди народжуються вільними і рівними; їжак, ґанок, об'єкт.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι. ΣΊΣΥΦΟΣ σίσυφος ἀρχὴ ᾧ.",
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. الرقم ١٢٣٤٥.",
    "تمام افراد بشر آزاد به دنیا می‌آیند ۱۲۳۴.",
    "כל בני האדם נולדו בני חורין ושווים בערכם. שָׁלוֹם עוֹלָם",
    "सभी मनुष्य जन्म से स्वतंत्र हैं। क्षत्रिय ज्ञान १२३४",
    "সমস্ত মানুষ স্বাধীনভাবে জন্মগ্রহণ করে। ৪৫৬",
    "மனிதர் யாவரும் சுதந்திரமாகவே பிறக்கின்றனர் ௧௨௩",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน ๑๒๓ น้ำ",
    "မျိုးရိုးမလွတ်လပ်သော လူသားများ ၁၂၃",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。二〇二四年",
    "人人生而自由，在尊嚴和權利上一律平等。𠮷野家 𪚥",
    "すべての人間は、生まれながらにして自由である。カタカナ ｶﾀｶﾅ ぱ",
    "모든 인간은 태어날 때부터 자유로우며 평등하다. 한글",
    "ყველა ადამიანი იბადება თავისუფალი. ᲧᲕᲔᲚᲐ Ⴀ",
    "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։",
    "ሰው ሁሉ ነጻና እኩል ነው። ፩፪፫",
    "ᎣᎯᏍᏙᏗ ᏓᎦᏎᏍᏗ ꭰꭱ",
    "ខ្មែរ មនុស្សទាំងអស់ ១២៣",
    "བོད་ཡིག མི་རིགས ༡༢༣",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕬𝖇𝖈 𝟙𝟚𝟛 Ⅻ ⅷ ½ ² ³ ① ⑳ ㊿ ㎏",
]

CODE = [
    "def f(x):\n    return x**2  # squared\n",
    "#include <vector>\nint main() {\n\tstd::vector<int> v{1, 2, 3};\n\treturn v[0] == 1 ? 0 : -1;\n}\n",
    "SELECT * FROM users WHERE name = 'O''Brien' AND age >= 18;",
    "for (let i=0;i<10;++i){console.log(`${i}: ${a[i]}`)}",
    "<html><body class=\"x\">&nbsp;&amp;</body></html>",
    "https://example.com/a/b?c=d&e=%20f#g user.name+tag@example.co.uk",
    "{\"key\": [1.5e-10, null, true], \"nested\": {\"a\": \"\\u00e9\"}}",
    "\\frac{1}{2} \\sum_{i=0}^{n} x_i^2 \\neq \\infty",
    "C:\\Users\\me\\file.txt  ../..//x  $HOME ~ ~~ ^^ `` ''",
]

EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷🇩🇪", "❤️", "1️⃣", "🧑🏿‍🚀", "☃", "⚽️", "🤷🏻‍♀️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]

COMBINING = ["e\u0301", "a\u0308\u0323", "n\u0303", "\u1112\u1161\u11ab", "o\u0302\u0301", "\u0301", "q\u0307\u0323", "Å", "\u212b",
             "ﬁ", "ﬆ", "\u0344", "\u0958", "\u2126", "ǆ", "ŉ", "\u0f73\u0f71", "\ufb1d", "①", "ｶ\uff9e", "\u1100\u1161\u11a8"]

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\r", "\u00a0", "\u3000", "\u180e", "\u200b", "\u2028", "\u2029", "\u0085",
          "\u2003", "\u202f", "\u205f", "\u1680", "\ufeff", "\u2060", "\v", "\f", " \n ", "\t\t", "          ", " \u00a0 ", "\u200d", "\u200c"]

DIGITS = ["0", "7", "42", "123", "1234", "1234567890", "3.14", "1,000,000", "٤٢", "१२", "๓๔", "４５", "²³", "Ⅻ", "½", "㊿", "〇", "𝟘𝟙", "๑", "߁߂",
          "1e10", "0xFF", "2024-01-31", "12:30", "99%", "$5.00", "€1.234,56"]

CONTRACTIONS = ["I'm", "I'M", "don't", "DON'T", "we're", "WE'RE", "they've", "THEY'VE", "he'll", "HE'LL", "she'd", "SHE'D", "it's", "IT'S",
                "'s", "'S", "'ſ", "’s", "'tis", "rock'n'roll", "y'all'd've", "'re'", "''ll", "O'Reilly", "l'été", "'LL've"]

SPECIAL = ["<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>",
           "<|endoftext", "endoftext|>", "<|endoftext|><|endoftext|>", " <s> ", "<s", "</s></s>", "<|reserved_special_token_0|>",
           "[LEFT]", "[RIGHT]", "[BOTH]", "word", "sword", "Word", "ADDED", "added", "éa", "ÉA", "<0x0A>", "<0xE9>", "▁", "▁▁", "Ġ", "Ċ"]

CONTROLS = ["\x00", "\x01", "\x07", "\x1b[0m", "\x1f", "\x7f", "\x80", "\x9f", "\u00ad", "\u202e", "\u2066", "\ufff9", "\ufffd", "\ufffe", "\ue000",
            "\U000f0000", "\U0010ffff", "\u0378"]

PUNCTUATION = ["!", "?!", "...", "…", "—", "--", "«»", "“”", "‘’", "(", ")", "[]", "{}", "¿", "、", "。", "、。", "/", "\\", "|", "@", "#", "*",
               "+=", "->", "=>", "<=", "&&", "||", "::", "€", "£", "¥", "₿", "±", "×", "∀", "→", "♥", "°", "§", "¬", "^", "`", "~", "_", "__x__"]


def assigned_characters():
    skipped = ("Cn", "Cs", "Co")
    return [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in skipped]


def long_words(rng):
    yield "a" * 5000
    yield "ab" * 3000
    yield "Donaudampfschifffahrtsgesellschaftskapitän" * 40
    yield "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4000))
    yield "漢字" * 1000
    yield "!" * 3000
    yield " " * 2000 + "x"
    yield "\n" * 1000
    yield "9" * 2000
    yield "😀" * 500
    yield "e\u0301" * 800
    yield "=-" * 1000


def words_of(sentences):
    return [word for sentence in sentences for word in sentence.split(" ")]


def mixture(rng, pools, longest):
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, longest)))


def strings():
    rng = random.Random(20240607)
    characters = assigned_characters()
    latin = [chr(c) for c in range(0x20, 0x250)]
    words = words_of(SENTENCES)
    pools = [words, EMOJI, COMBINING, SPACES, DIGITS, CONTRACTIONS, SPECIAL, CONTROLS, PUNCTUATION]
    found = [""]
    for fixed in (SENTENCES, CODE, *pools[1:]):
        found += fixed
        found += [" " + text for text in fixed] + [text + " " for text in fixed]
    found += long_words(rng)
    for _ in range(400):
        found.append(" ".join(rng.choice(words) for _ in range(rng.randint(1, 12))))
    for _ in range(700):
        found.append(mixture(rng, pools, 14))
    for _ in range(200):
        found.append(mixture(rng, [words, SPACES], 10))
    for _ in range(300):
        found.append(mixture(rng, [SPECIAL, SPACES, words, SPECIAL], 10))
    for _ in range(300):
        found.append(mixture(rng, [characters, latin, SPACES], 16))
    for _ in range(200):
        found.append(mixture(rng, [COMBINING, latin, words], 8))
    return found


def around_tokens(tokens):
    """A tokenizer's own added tokens, whole and damaged, at words, white space and each other."""
    rng = random.Random(20240608)
    tokens = rng.sample(tokens, min(len(tokens), 60))
    damaged = [token[:-1] for token in tokens] + [token[1:] for token in tokens] + [token + "\u0301" for token in tokens]
    pools = [tokens, tokens, SPACES, words_of(SENTENCES), [""], damaged]
    return [mixture(rng, pools, 9) for _ in range(300)] if tokens else []


def every_character():
    """All of Unicode that is in use or may soon be, a hundred characters a text."""
    codes = [c for c in [*range(0x40000), *range(0xE0000, 0xE0200), 0x10FFFF] if not 0xD800 <= c <= 0xDFFF]
    return ["".join(map(chr, codes[i:i + 100])) for i in range(0, len(codes), 100)]
