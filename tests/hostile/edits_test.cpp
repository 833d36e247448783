// Files of edits that are broken on purpose: each must end in a UserError or in rejected records.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/edits/reader.hpp"
#include "io/error.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

std::string repeated(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

// -1 for a UserError, else the number of edits.
int edits_in(std::string_view content, std::optional<Format> forced = std::nullopt) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.write("hostile.json", content);
  try {
    return static_cast<int>(read_edits(path, forced).edits.size());
  } catch (const UserError&) {
    return -1;
  }
}

TEST(HostileEdits, NestingDeeperThanTheStackIsRejected) {
  constexpr int depth = 300'000;
  const std::string lists = repeated("[", depth) + repeated("]", depth);
  const std::string objects = repeated("{\"a\":", depth) + "1" + repeated("}", depth);
  EXPECT_EQ(edits_in(lists), -1);
  EXPECT_EQ(edits_in(objects), -1);
  for (const std::string& deep : {lists, objects}) {
    const std::string good = R"({"subject": "s", "prompt": "{} is", "target": "x"})";
    EXPECT_EQ(edits_in(fmt::format("{}\n{{\"target\": {}}}\n{}", good, deep, good)), 2);
    EXPECT_EQ(edits_in(fmt::format("[{}, {{\"target\": {}}}]", good, deep)), -1);
  }
}

TEST(HostileEdits, NestingWhereTextIsExpectedIsRejected) {
  const std::string deep = repeated("[", 50) + "{}" + repeated("]", 50);
  for (const char* field : {"target", "ground_truth", "paraphrases", "neighborhood"}) {
    const std::string record = fmt::format(R"([{{"subject": "s", "prompt": "{{}} is", "{}": {}}}])", field, deep);
    EXPECT_EQ(edits_in(record, Format::native), 0) << field;
  }
  EXPECT_EQ(edits_in(fmt::format(
                R"([{{"subject": "s", "prompt": "s is", "target_new": "x", "locality": {{"k": {}}}}}])", deep)),
            0);
}

TEST(HostileEdits, FileCutAtAnyByteNeverGivesAnEditThatWasNotWhole) {
  const std::string line = R"({"subject": "Zürich", "prompt": "{} is in", "target": "x", "tags": ["é\u00e9"]})";
  const std::string lines = line + "\n" + line;
  for (std::size_t size = 0; size < lines.size(); ++size) {
    EXPECT_LE(edits_in(lines.substr(0, size)), size < line.size() ? -1 : 1) << size;
    EXPECT_EQ(edits_in(fmt::format("[{}", lines.substr(0, size))), -1) << size;
  }
}

TEST(HostileEdits, ZeroBytesAndOverlongUtf8AreNotRead) {
  using std::string_literals::operator""s;
  EXPECT_EQ(edits_in("\0\0\0"s), -1);
  EXPECT_EQ(edits_in("\xFF\xFE{\0\"\0"s), -1);  // UTF-16
  EXPECT_EQ(edits_in("{\"subject\": \"\xC0\xAF\"}"), -1);
  EXPECT_EQ(edits_in("{\"subject\": \"\xED\xA0\x80\"}"), -1);  // half a surrogate pair
}

}  // namespace
}  // namespace anchorage::io
