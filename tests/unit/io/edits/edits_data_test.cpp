// Real files of edits, against an independent reading (tests/golden/edits.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "io/edits/reader.hpp"
#include "io/error.hpp"
#include "io/evaluation/known_facts.hpp"
#include "io/evaluation/lambada.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

const std::filesystem::path data = std::filesystem::path(tests::source_path()) / "../shared/data/edits";

nlohmann::ordered_json golden() {
  std::ifstream file(std::filesystem::path(tests::source_path()) / "tests/golden/edits.json");
  return nlohmann::ordered_json::parse(file);
}

std::string digest(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

class RealEdits : public testing::TestWithParam<const char*> {};

TEST_P(RealEdits, AllRecordsReadAsTheIndependentReadingHasThem) {
  const std::filesystem::path path = data / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto expected = golden().at("files").at(GetParam());
  const EditsFile file = read_edits(path);

  EXPECT_EQ(name_of(file.format), expected.at("format"));
  EXPECT_EQ(file.edits.size(), expected.at("edits"));
  std::vector<std::string> rejected;
  for (const auto& index : expected.at("rejected")) {
    rejected.push_back(path.string() + ", index " + std::to_string(index.get<int>()));
  }
  std::vector<std::string> found;
  for (const Rejected& one : file.rejected) found.push_back(one.where);
  EXPECT_EQ(found, rejected);

  if (expected.contains("edit 7")) {
    EXPECT_EQ(to_json(file.edits.at(7)), expected.at("edit 7").dump());
  }
  std::string lines;
  for (const Edit& edit : file.edits) lines += to_json(edit) + "\n";
  EXPECT_EQ(digest(lines), expected.at("sha256"));

  const EditsFile again = read_edits(tests::TemporaryDirectory().write("native.jsonl", lines));
  EXPECT_EQ(again.format, Format::native);
  EXPECT_TRUE(again.edits == file.edits) << "the native form does not read back equal";
}

INSTANTIATE_TEST_SUITE_P(Files, RealEdits,
                         testing::Values("counterfact-edit.json", "counterfact_500_multi_neighbour.json",
                                         "zsre_mend_train-1k.json", "wikibigedit_3k.json", "qaedit_1k.json"));

TEST(DemoEdits, AllRecordsOfTheDemoCanBeUsed) {
  const EditsFile file = read_edits(std::filesystem::path(tests::source_path()) / "launch/demo/facts.jsonl");
  EXPECT_EQ(file.format, Format::native);
  EXPECT_GE(file.edits.size(), 20U);
  for (const Rejected& one : file.rejected) ADD_FAILURE() << one.where << ": " << one.reason;
}

TEST(KnownFacts, AllFactsReadAsTheIndependentReadingHasThem) {
  const std::filesystem::path path = data / "known_1000.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto expected = golden().at("known_1000.json");
  const std::vector<KnownFact> facts = read_known_facts(path);
  EXPECT_EQ(facts.size(), expected.at("facts"));
  std::string lines;
  for (const KnownFact& fact : facts) lines += fact.prompt + "\t" + fact.attribute + "\n";
  EXPECT_EQ(digest(lines), expected.at("sha256"));
}

TEST(KnownFacts, RecordWithoutAttributeIsAnErrorThatNamesIt) {
  const tests::TemporaryDirectory directory;
  const auto file = directory.write("known.json", R"([{"prompt": "a", "attribute": "b"}, {"prompt": "c"}])");
  try {
    read_known_facts(file);
    FAIL() << "no UserError";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("field 'attribute' is missing"));
    EXPECT_THAT(error.what(), testing::HasSubstr("known.json, index 1"));
  }
}

TEST(Lambada, APassageIsCutBeforeItsLastWord) {
  const tests::TemporaryDirectory directory;
  const auto file = directory.write(
      "l.jsonl", "{\"text\": \"He said:\\n\\n\\\"Come in, \\n Shane\"}\n{\"text\": \" no it 's\"}\n");
  const std::vector<Passage> passages = read_lambada(file);
  ASSERT_EQ(passages.size(), 2U);
  EXPECT_EQ(passages[0].beginning, "He said:\n\n\"Come in,");
  EXPECT_EQ(passages[0].last_word, "Shane");
  EXPECT_EQ(passages[1].beginning, "no it");
  EXPECT_EQ(passages[1].last_word, "'s");
}

TEST(Lambada, AllPassagesOfTheRealFileHaveALastWord) {
  const std::filesystem::path path = data / "../general/lambada_test.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const std::vector<Passage> passages = read_lambada(path);
  EXPECT_EQ(passages.size(), 5153U);
  EXPECT_EQ(passages[1].last_word, "Shane");
  for (const Passage& passage : passages) {
    EXPECT_THAT(passage.last_word, testing::Not(testing::HasSubstr(" ")));
    EXPECT_GT(passage.beginning.size(), passage.last_word.size());
  }
}

TEST(Lambada, ASingleWordIsAnErrorThatNamesTheRecord) {
  const tests::TemporaryDirectory directory;
  const auto file = directory.write("l.jsonl", "{\"text\": \"word\"}\n");
  EXPECT_THAT(tests::message_of([&] { read_lambada(file); }), testing::HasSubstr("found a single word, in "));
}

}  // namespace
}  // namespace anchorage::io
