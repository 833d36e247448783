"""Facts about cmake/check_links.py: what it lets pass, and that it finds each kind of fault in a document."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "cmake"))
import check_links  # noqa: E402


class CheckLinks(unittest.TestCase):
    # A tree without a fault. Each test adds the one document that has one.
    TREE = {
        "README.md": "# Title\n\nSee [the method](docs/method.md#2-how-it-works) and `io/error.hpp`.\n",
        "docs/method.md": "# Method\n\n## 2. How it works\n\n[back](../README.md), ![drawn](ranks.svg)\n",
        "docs/ranks.svg": "<svg/>",
        "io/error.hpp": "",
        "io/error.cpp": "",
        "io/model/family.hpp": "",
        "launch/setup": "",
    }

    def found(self, text: str, name: str = "docs/page.md") -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for path, content in (self.TREE | {name: text}).items():
                file = Path(folder) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")
            return check_links.Checker(Path(folder)).check()

    def assert_one(self, found: list[str], *parts: str) -> None:
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_tree_in_order_has_no_findings(self):
        self.assertEqual(self.found("# Page\n"), [])

    def test_a_tree_without_documents_is_not_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(len(check_links.Checker(Path(folder)).check()), 1)

    def test_a_link_to_no_file_is_found(self):
        self.assert_one(self.found("a\n[x](gone.md)\n"), "docs/page.md:2", "gone.md")

    def test_an_image_that_is_not_there_is_found(self):
        self.assert_one(self.found("![x](gone.svg)\n"), "docs/page.md:1", "gone.svg")

    def test_a_link_out_of_the_tree_is_found(self):
        self.assert_one(self.found("[x](../../etc/passwd)\n"), "../../etc/passwd")

    def test_a_link_whose_text_is_code_is_followed(self):
        self.assert_one(self.found("[`x`](gone.md)\n"), "gone.md")

    def test_an_anchor_without_a_heading_is_found(self):
        self.assert_one(self.found("[x](method.md#3-more)\n"), "'#3-more' in docs/method.md")
        self.assert_one(self.found("# Here\n\n[x](#there)\n"), "'#there' in docs/page.md")

    def test_anchors_are_made_as_github_makes_them(self):
        page = "## `eval`: what it costs, *really*?\n## Same\n## Same\n"
        self.assertEqual(self.found(page + "[x](#eval-what-it-costs-really)\n[y](#same-1)\n"), [])

    def test_a_heading_inside_of_code_is_no_heading(self):
        self.assert_one(self.found("```\n## Here\n```\n\n[x](#here)\n"), "'#here'")

    def test_links_to_other_places_are_not_followed(self):
        self.assertEqual(self.found("[x](https://example.org/gone.md) [y](mailto:a@example.org)\n"), [])

    def test_a_path_in_backticks_that_does_not_exist_is_found(self):
        self.assert_one(self.found("`io/gone.hpp`\n"), "docs/page.md:1", "io/gone.hpp")
        self.assert_one(self.found("`launch/setup --json io/gone`\n"), "io/gone")

    def test_a_path_in_a_block_of_code_that_does_not_exist_is_found(self):
        self.assert_one(self.found("a\n\n    $HOME/anchorage/launch/gone SETTINGS\n"), "launch/gone")
        self.assert_one(self.found("```\nlaunch/gone\n```\n"), "docs/page.md:2", "launch/gone")

    def test_stars_braces_and_names_without_an_ending_stand_for_files(self):
        self.assertEqual(self.found("`io/error.{hpp,cpp}` `io/*` `io/model/family` `io/` `io/model`\n"), [])
        self.assert_one(self.found("`io/error.{hpp,inc}`\n"), "io/error.inc")
        self.assert_one(self.found("`io/*.gone`\n"), "io/*.gone")

    def test_what_begins_with_no_folder_of_the_tree_is_no_path(self):
        for path in ("checkpoint/seg-1.h5", "site-packages/io/gone", "https://example.org/io/gone"):
            self.assertEqual(self.found(f"`{path}`\n"), [])

    def test_a_long_line_is_found(self):
        self.assert_one(self.found("word " * 24 + "x\n"), "at most 120 characters, found 121")
        self.assertEqual(self.found("word " * 23 + "words\n"), [])

    def test_tables_code_and_single_words_may_be_long(self):
        self.assertEqual(self.found(f"| {'word ' * 40} |\n\n    {'word ' * 40}\n\n{'x' * 200}\n"), [])

    def test_a_tree_that_is_drawn_as_it_is_passes(self):
        drawn = "```tree\nio/         in and out\n  model/    families\nlaunch/     starts\ndocs/\n```\n"
        self.assertEqual(self.found(drawn), [])

    def test_a_folder_that_is_drawn_and_not_there_is_found(self):
        drawn = "```tree\nio/\n  model/\n  gone/\nlaunch/\ndocs/\n```\n"
        self.assert_one(self.found(drawn), "docs/page.md:4", "io/gone/")

    def test_a_folder_that_is_there_and_not_drawn_is_found(self):
        self.assert_one(self.found("```tree\nio/\nlaunch/\n```\n"), "expected the folder docs/")

    def test_files_that_git_does_not_track_do_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            git = ["git", "-C", folder, "-c", "init.defaultBranch=main"]
            subprocess.run([*git, "init", "-q"], check=True)
            (Path(folder) / "README.md").write_text("[x](made.md)\n`io/made.hpp`\n")
            (Path(folder) / "NOTES.md").write_text("[x](gone.md)\n")
            (Path(folder) / "io").mkdir()
            (Path(folder) / "io" / "error.hpp").write_text("")
            subprocess.run([*git, "add", "README.md", "io"], check=True)
            found = check_links.Checker(Path(folder)).check()
            self.assertTrue(all(line.startswith("README.md") for line in found), found)
            self.assertEqual(len(found), 2, found)


if __name__ == "__main__":
    unittest.main()
