#include "io/text/text_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using std::string_literals::operator""s;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& name, std::string_view content) {
  const tests::TemporaryDirectory directory;
  TextLines text(directory.write(name, content));
  std::vector<std::string> lines;
  while (auto line = text.next()) lines.push_back(line->text);
  return lines;
}

TEST(TextLines, AreThoseOfATextFile) {
  EXPECT_THAT(lines_of("c.txt",
                       "\xEF\xBB\xBF"
                       "one\n\n \t\ntwo\r\nthree"),
              ElementsAre("one", "two\r", "three"));
}

TEST(TextLines, AreThoseOfTheTextsOfRecords) {
  const std::string lines =
      "{\"text\": \"one\\n\\ntwo\\n\", \"id\": 1}\n\n{\"text\": \"\"}\n{\"text\": \"three\"}\n";
  EXPECT_THAT(lines_of("c.jsonl", lines), ElementsAre("one", "two", "three"));
  EXPECT_THAT(lines_of("c.json", lines), ElementsAre("one", "two", "three"));
  EXPECT_THAT(lines_of("c.json", R"([{"text": "one\ntwo"}, {"text": "three"}])"),
              ElementsAre("one", "two", "three"));
  EXPECT_THAT(lines_of("c.txt", R"({"text": "one"})"), ElementsAre(R"({"text": "one"})"));
}

TEST(TextLines, ThatCannotBeReadAreToldWithFileAndLine) {
  const auto refusal = [](const std::string& name, const std::string& content) {
    return tests::message_of([&] { lines_of(name, content); });
  };
  EXPECT_THAT(refusal("c.txt", "good\n\ncaf\xE9\n"),
              AllOf(HasSubstr("byte 0xe9 at byte 3"), HasSubstr("c.txt, line 3")));
  EXPECT_THAT(refusal("c.txt", "good\n" + "\0\0"s), AllOf(HasSubstr("byte 0x00"), HasSubstr("c.txt, line 2")));
  EXPECT_THAT(refusal("c.txt", "\xFF\xFEg\0o\0"s), HasSubstr("c.txt, line 1"));
  EXPECT_THAT(refusal("c.jsonl", "{\"text\": \"a\"}\n{\"text\": 1}\n"), HasSubstr("c.jsonl, line 2"));
  EXPECT_THAT(refusal("c.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b"), HasSubstr("c.jsonl, line 3"));
  EXPECT_THAT(refusal("c.jsonl", "plain\n"), AllOf(HasSubstr("a JSON record on each line"), HasSubstr("line 1")));
  EXPECT_THAT(refusal("c.json", R"([{"text": "a"}, "b"])"), AllOf(HasSubstr("found a text"), HasSubstr("index 1")));
  for (const char* name : {"c.txt", "c.jsonl", "c.json"}) {
    EXPECT_THAT(refusal(name, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5380904\n"),
                HasSubstr("git lfs pull"))
        << name;
  }
  EXPECT_THAT(tests::message_of([] { TextLines("/nowhere.txt"); }), HasSubstr("none that can be read"));
}

}  // namespace
}  // namespace anchorage::io
