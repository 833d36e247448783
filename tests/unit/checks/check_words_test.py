"""Facts about cmake/check_words.py: what it lets pass, and that it finds each kind of word where it is read."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "cmake"))
import check_words  # noqa: E402


class CheckWords(unittest.TestCase):
    def found(self, text: str, name: str = "docs/page.md") -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return check_words.findings(Path(folder))

    def assert_one(self, found: list[str], *parts: str) -> None:
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_tree_without_texts_is_not_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(len(check_words.findings(Path(folder))), 1)

    def test_american_spelling_passes(self):
        text = "The neighbor's color is normalized; analyses of organisms advise optimists otherwise.\n"
        self.assertEqual(self.found(text), [])

    def test_british_spelling_is_found(self):
        words = ("neighbourhood", "Colours", "licence", "normalised", "unnormalised", "optimiser", "centre", "learnt")
        for word in words:
            with self.subTest(word):
                self.assert_one(self.found(f"a\nthe {word} is\n"), "docs/page.md:2", f"'{word}'")

    def test_spelling_is_found_in_names_of_a_source_too(self):
        self.assert_one(self.found("int neighbour_count = 0;\n", "io/a.cpp"), "io/a.cpp:1", "neighbour_count")
        self.assert_one(self.found("def f(colour):\n", "tests/a.py"), "colour")

    def test_phrases_that_read_as_translated_are_found(self):
        for phrase in ("word for word", "behind the batch", "at hand", "goes on", "mend it", "taken back", "it tells"):
            with self.subTest(phrase):
                self.assertEqual(len(self.found(f"a {phrase} b\n")), 1)

    def test_terms_of_the_old_dialect_are_found(self):
        self.assert_one(self.found("the standing segments\n"), "live")
        self.assert_one(self.found("the essence of it\n"), "KL prompt")

    def test_a_rate_is_written_with_per(self):
        self.assert_one(self.found("1.8 s an edit\n"), "per")
        self.assert_one(self.found("nats a token\n"), "per")
        self.assertEqual(self.found("gives a batch of edits a number per rank\n"), [])

    def test_names_of_others_and_plain_english_pass(self):
        self.assertEqual(self.found("MEND's ZsRE, `mend-zsre`; nothing is left behind, it leaves no file behind\n"), [])

    def test_to_tell_somebody_passes_and_to_tell_something_does_not(self):
        self.assertEqual(self.found("It tells the workers to stop, and tells GPUs of a machine apart.\n"), [])
        self.assert_one(self.found("The message tells which and why.\n"), "reports")

    def test_code_in_a_document_is_not_read(self):
        self.assertEqual(self.found("`neighbourhood`\n\n    goes on behind\n\n```\ncolour\n```\n"), [])

    def test_the_target_of_a_link_is_not_read_and_its_text_is(self):
        self.assertEqual(self.found("[x](https://example.org/colour)\n"), [])
        self.assert_one(self.found("[colour](x.md)\n"), "colour")

    def test_phrases_are_found_in_comments_and_strings_of_a_source(self):
        self.assert_one(self.found("int a;  // goes on\n", "io/a.cpp"), "io/a.cpp:1")
        self.assert_one(self.found('throw Error("mend the file");\n', "io/a.cpp"), "io/a.cpp:1")
        self.assert_one(self.found('"""Tells what is."""\n', "tests/a.py"), "tests/a.py:1")
        self.assert_one(self.found("# goes on\n", "launch/run.sh"), "launch/run.sh:1")
        self.assert_one(self.found("a: 1  # behind\n", "launch/a.yaml"), "launch/a.yaml:1")
        self.assert_one(self.found("# behind\n", "launch/setup"), "launch/setup:1")

    def test_code_of_a_source_is_not_taken_for_phrases(self):
        self.assertEqual(self.found("go on; behind = tells(mend);\n", "io/a.cpp"), [])

    def test_a_phrase_in_the_second_line_of_a_comment_has_its_line(self):
        self.assert_one(self.found('"""One.\n\nIt goes on.\n"""\n', "tests/a.py"), "tests/a.py:3")

    def test_data_is_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a.json", "a.csv", "a.svg", "LICENSE"):
                (Path(folder) / name).write_text("colour")
            (Path(folder) / "README.md").write_text("color")
            self.assertEqual(check_words.findings(Path(folder)), [])


if __name__ == "__main__":
    unittest.main()
