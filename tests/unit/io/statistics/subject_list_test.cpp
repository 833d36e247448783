#include "io/statistics/subject_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unicode/unistr.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;

class SubjectListFile : public testing::Test {
 protected:
  SubjectList read(std::string_view content) { return read_subject_list(folder.write("s.jsonl", content)); }
  // "subject|template"
  std::vector<std::string> rows(std::string_view content) {
    std::vector<std::string> rows;
    for (const SubjectPrompt& one : read(content).prompts) rows.push_back(one.subject + "|" + one.prompt);
    return rows;
  }
  std::string refusal(std::string_view content) {
    return message_of([&] { read(content); });
  }

  const tests::TemporaryDirectory folder;
};

TEST_F(SubjectListFile, OfNativeEditsHasTheirSubjectsAndPrompts) {
  EXPECT_THAT(rows(R"({"id": "1", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly Ortberg"}
{"subject": "Paris", "prompt": "Paris lies in"}
)"),
              ElementsAre("Boeing|The CEO of {} is", "Paris|{} lies in"));
}

TEST_F(SubjectListFile, OfASubjectWithSeveralPromptsHasEach) {
  EXPECT_THAT(rows(R"([{"subject": "A", "prompts": ["{} is", "{} was", "{} has"]},
                       {"subject": "B", "templates": ["{} is"]}])"),
              ElementsAre("A|{} is", "A|{} was", "A|{} has", "B|{} is"));
}

TEST_F(SubjectListFile, OfARelationTakesTwoTemplatesASubjectInTurn) {
  EXPECT_THAT(rows(R"({"relation": "r", "templates": ["a {}", "b {}", "c {}"], "subjects": ["S", "T", "U", "V"]})"),
              ElementsAre("S|a {}", "S|b {}", "T|b {}", "T|c {}", "U|c {}", "U|a {}", "V|a {}", "V|b {}"));
  EXPECT_THAT(rows(R"({"templates": "a {}", "subjects": ["S", "T"]})"), ElementsAre("S|a {}", "T|a {}"));
}

TEST_F(SubjectListFile, OfLresOwnFormHasTheSubjectsOfItsSamples) {
  EXPECT_THAT(rows(R"({"name": "city in country", "prompt_templates": ["{} is part of", "{} is in"],
                       "prompt_templates_zs": ["{} lies in"], "properties": {"symmetric": false},
                       "samples": [{"subject": "Lyon", "object": "France"}, {"subject": "Pune", "object": "India"}]})"),
              ElementsAre("Lyon|{} is part of", "Lyon|{} is in", "Pune|{} is in", "Pune|{} is part of"));
}

TEST_F(SubjectListFile, HasASubjectWithTheSameTemplateOnce) {
  EXPECT_THAT(rows(R"({"templates": ["a {}"], "subjects": ["S", "S", "T"]}
{"subject": "T", "prompt": "a {}"}
{"subject": "T", "prompt": "b {}"}
)"),
              ElementsAre("S|a {}", "T|a {}", "T|b {}"));
}

TEST_F(SubjectListFile, IsKnownByTheDigestOfItsBytesAndSaysWhereARecordStands) {
  const std::string content =
      "{\"subject\": \"A\", \"prompt\": \"{} is\"}\n\n{\"subject\": \"B\", \"prompt\": \"{} is\"}\n";
  const SubjectList list = read(content);
  EXPECT_EQ(list.digest, sha256_hex(std::as_bytes(std::span(content))));
  EXPECT_EQ(list.prompts[1].where, (folder.path() / "s.jsonl").string() + ", line 3");
}

TEST_F(SubjectListFile, WithARecordThatCannotBeUsedIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal(R"({"subject": "A", "prompt": "{} is"}
{"subject": "B", "target": "x"}
)"),
              AllOf(HasSubstr("none of the fields 'prompt'"), HasSubstr("s.jsonl, line 2")));
  EXPECT_THAT(refusal(R"({"prompt": "{} is"})"), HasSubstr("field 'subject' is missing"));
  EXPECT_THAT(refusal(R"({"subject": "A", "prompt": "B is"})"), HasSubstr("does not occur in prompt 'B is'"));
  EXPECT_THAT(refusal(R"({"subject": "A", "prompt": "{} and {}"})"), HasSubstr("2 times where once is expected"));
  EXPECT_THAT(refusal(R"({"templates": ["is"], "subjects": ["A"]})"), HasSubstr("template 'is' has no {}"));
  EXPECT_THAT(refusal(R"({"templates": [], "subjects": ["A"]})"), HasSubstr("field 'templates' is empty"));
  EXPECT_THAT(refusal(R"({"templates": ["{} is"], "subjects": []})"), HasSubstr("field 'subjects' is empty"));
  EXPECT_THAT(refusal(R"({"prompt_templates": ["{} is"], "samples": [{"object": "x"}]})"),
              HasSubstr("field 'subject' is missing"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("a number where an object is expected"));
  EXPECT_THAT(refusal("{\"subject\": \"A\", \"prompt\": \"{} is\"}\n{\"subject\": \n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal(""), HasSubstr("at least one record"));
  EXPECT_THAT(message_of([&] { read_subject_list(folder.path() / "none.jsonl"); }), HasSubstr("found none"));
}

// --- The list that comes with the program

const std::filesystem::path source = tests::source_path();

// Without case, with one space where there is white space.
std::string spelling(const std::string& subject) {
  std::istringstream words(subject);
  std::string joined;
  for (std::string word; words >> word;) joined += (joined.empty() ? "" : " ") + word;
  std::string folded;
  icu::UnicodeString::fromUTF8(joined).foldCase().toUTF8String(folded);
  return folded;
}

std::map<std::string, std::string> subjects_of_the_program() {
  std::map<std::string, std::string> subjects;
  for (const SubjectPrompt& one : read_subject_list(source / "launch/subjects/subjects.jsonl").prompts)
    subjects.emplace(spelling(one.subject), one.subject);
  return subjects;
}

// Every text under a key `subject`, wherever it is.
void collect_subjects(const nlohmann::json& value, std::set<std::string>& subjects) {
  if (value.is_array()) {
    for (const auto& entry : value) collect_subjects(entry, subjects);
  } else if (value.is_object()) {
    for (const auto& [key, entry] : value.items()) {
      if (key == "subject" && entry.is_string()) {
        subjects.insert(spelling(entry.get<std::string>()));
      } else {
        collect_subjects(entry, subjects);
      }
    }
  }
}

TEST(SubjectsOfTheProgram, AreThousands) {
  EXPECT_GT(subjects_of_the_program().size(), 4000U);
}

TEST(SubjectsOfTheProgram, AreNoneOfTheDemosFacts) {
  std::ifstream lines(source / "launch/demo/facts.jsonl");
  std::set<std::string> edited;
  for (std::string line; std::getline(lines, line);) collect_subjects(nlohmann::json::parse(line), edited);
  ASSERT_GE(edited.size(), 20U);
  for (const auto& [spelled, subject] : subjects_of_the_program())
    EXPECT_FALSE(edited.contains(spelled)) << subject;
}

class EvaluatedEdits : public testing::TestWithParam<const char*> {};

TEST_P(EvaluatedEdits, AreAboutNoSubjectOfTheProgram) {
  const auto path = source / "../shared/data/edits" / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream file(path);
  std::set<std::string> edited;
  collect_subjects(nlohmann::json::parse(file), edited);
  ASSERT_GE(edited.size(), 400U);
  for (const auto& [spelled, subject] : subjects_of_the_program())
    EXPECT_FALSE(edited.contains(spelled)) << subject;
}

INSTANTIATE_TEST_SUITE_P(Files, EvaluatedEdits,
                         testing::Values("counterfact-edit.json", "counterfact_500_multi_neighbour.json",
                                         "known_1000.json", "qaedit_1k.json", "wikibigedit_3k.json",
                                         "zsre_mend_train-1k.json"));

}  // namespace
}  // namespace anchorage::io
