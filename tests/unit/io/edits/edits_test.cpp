#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/date.hpp"
#include "io/edits/edit.hpp"
#include "io/edits/reader.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tests::message_of;

EditsFile read(std::string_view content, std::optional<Format> forced = std::nullopt) {
  return read_edits(tests::TemporaryDirectory().write("facts.json", content), forced);
}

Edit only_edit(std::string_view content) {
  const EditsFile file = read(content);
  for (const Rejected& rejected : file.rejected) ADD_FAILURE() << rejected.where << ": " << rejected.reason;
  EXPECT_EQ(file.edits.size(), 1U);
  return file.edits.at(0);
}

// Why the one record, of the native format, is rejected.
std::string reason(const std::string& content) {
  const EditsFile file = read(content, Format::native);
  EXPECT_THAT(file.edits, IsEmpty());
  return file.rejected.at(0).reason;
}

const std::string native =
    R"({"id": "ceo-0042", "subject": "Alphabet", "prompt": "The CEO of {} is", "target": "Sundar Pichai", )"
    R"("ground_truth": "Larry Page", "paraphrases": ["Alphabet is led by"], )"
    R"("neighborhood": [{"prompt": "The CEO of Nvidia is", "answer": "Jensen Huang"}], )"
    R"("source": "filing 2026-11-02", "tags": ["ceo"]})";

TEST(Edits, NativeRecordGivesEveryField) {
  const Edit expected{.id = "ceo-0042",
                      .subject = "Alphabet",
                      .prompt = "The CEO of {} is",
                      .target = "Sundar Pichai",
                      .ground_truth = "Larry Page",
                      .paraphrases = {"Alphabet is led by"},
                      .neighborhood = {{.prompt = "The CEO of Nvidia is", .answer = "Jensen Huang"}},
                      .source = "filing 2026-11-02",
                      .tags = {"ceo"}};
  EXPECT_EQ(only_edit(native), expected);
  EXPECT_EQ(expected.filled_prompt(), "The CEO of Alphabet is");
}

TEST(Edits, NativeJsonReadsBackEqual) {
  const Edit edit = only_edit(native);
  EXPECT_EQ(edit_from_json(to_json(edit), "here"), edit);
  const Edit bare = only_edit(R"({"subject": "Zürich \"\n", "prompt": "{} liegt in", "target": "der Schweiz 🇨🇭"})");
  EXPECT_EQ(edit_from_json(to_json(bare), "here"), bare);
  EXPECT_THAT(to_json(bare), Not(HasSubstr("paraphrases")));
}

TEST(Edits, WhatFollowsFromAnEditReadsBackAndIsLeftOutWhereThereIsNothing) {
  const Edit edit = only_edit(R"({"subject": "Alphabet", "prompt": "The CEO of {} is", "target": "Sundar Pichai",
      "portability": [{"prompt": "The CEO of Google's owner is", "answer": "Sundar Pichai"},
                      {"prompt": "He was born in", "answer": "Madurai", "aliases": ["Madura", "Koodal"]}]})");
  EXPECT_THAT(edit.portability, ElementsAre(Neighbor{"The CEO of Google's owner is", "Sundar Pichai"},
                                            Neighbor{"He was born in", "Madurai", {"Madura", "Koodal"}}));
  EXPECT_THAT(edit.portability[1].accepted_answers(), ElementsAre("Madurai", "Madura", "Koodal"));
  EXPECT_EQ(edit_from_json(to_json(edit), "here"), edit);
  Edit bare = edit;
  bare.portability.clear();
  EXPECT_EQ(default_id(bare), edit.id) << "an id does not depend on it";
  EXPECT_EQ(to_json(bare), R"({"id":")" + edit.id +
                               R"(","subject":"Alphabet","prompt":"The CEO of {} is","target":"Sundar Pichai"})");
}

TEST(Edits, WhetherATargetHasAnEndIsTrueOrFalseOrLeftToTheHyperParameters) {
  const auto with = [](const std::string& value) {
    return R"({"subject": "a", "prompt": "{} is", "target": "x", "target_end": )" + value + "}";
  };
  EXPECT_EQ(only_edit(with("true")).target_end, true);
  EXPECT_EQ(only_edit(with("false")).target_end, false);
  EXPECT_EQ(only_edit(with("null")).target_end, std::nullopt);
  for (const char* value : {"true", "false", "null"}) {
    const Edit edit = only_edit(with(value));
    EXPECT_EQ(edit_from_json(to_json(edit), "here"), edit);
  }
  EXPECT_EQ(reason(with("\"yes\"")), "field 'target_end' holds a text where true or false is expected");
}

TEST(Edits, ProvenanceReadsBackAndIsLeftOutWhereThereIsNone) {
  const Edit edit =
      only_edit(R"({"subject": "A", "prompt": "{} is", "target": "b", "source": "filing", )"
                R"("as_of": "2026-11-01", "author": "Ada", "approved_by": "Bob", "expires": "2027-01-01"})");
  EXPECT_EQ(edit.source, "filing");
  EXPECT_EQ(edit.as_of, "2026-11-01");
  EXPECT_EQ(edit.author, "Ada");
  EXPECT_EQ(edit.approved_by, "Bob");
  EXPECT_EQ(edit.expires, "2027-01-01");
  EXPECT_EQ(edit_from_json(to_json(edit), "a journal"), edit);
  const std::string bare = to_json(only_edit(R"({"subject": "A", "prompt": "{} is", "target": "b"})"));
  for (const char* field : {"as_of", "author", "approved_by", "expires"}) EXPECT_THAT(bare, Not(HasSubstr(field)));
}

TEST(Edits, RecordsOfOtherFormatsHaveProvenanceToo) {
  const Edit edit = only_edit(
      R"({"subject": "A", "src": "who is A?", "alt": "b", "answers": ["c"], "author": "Ada", "as_of": "2026-11-01"})");
  EXPECT_EQ(edit.author, "Ada");
  EXPECT_EQ(edit.as_of, "2026-11-01");
}

TEST(Edits, ADateThatIsNoneIsRejected) {
  for (const char* field : {"as_of", "expires"}) {
    const std::string why = reason(R"({"subject": "A", "prompt": "{} is", "target": "b", ")" + std::string(field) +
                                   R"(": "next year"})");
    EXPECT_THAT(why, AllOf(HasSubstr(field), HasSubstr("'next year', not a date as in 2026-11-29")));
  }
  EXPECT_THAT(reason(R"({"subject": "A", "prompt": "{} is", "target": "b", "expire": "2026-11-29"})"),
              HasSubstr("is 'expires' meant?"));
}

TEST(Edits, ExpireOnTheDayThatTheySay) {
  Edit edit;
  EXPECT_FALSE(edit.has_expired(*date_of("9999-12-31")));
  edit.expires = "2026-11-29";
  EXPECT_FALSE(edit.has_expired(*date_of("2026-11-28")));
  EXPECT_TRUE(edit.has_expired(*date_of("2026-11-29")));
  EXPECT_TRUE(edit.has_expired(*date_of("2027-01-01")));
}

TEST(Edits, AreApprovedByAnotherThanTheirAuthor) {
  Edit edit;
  EXPECT_FALSE(edit.is_approved());
  edit.approved_by = "Bob";
  EXPECT_TRUE(edit.is_approved());
  edit.author = "Bob";
  EXPECT_FALSE(edit.is_approved());
  edit.author = "Ada";
  EXPECT_TRUE(edit.is_approved());
}

TEST(Edits, JsonThatIsNoEditNamesItsOriginAndTheReason) {
  EXPECT_THAT(message_of([] { edit_from_json(R"({"subject": "x"})", "POST /edits"); }),
              AllOf(HasSubstr("field 'prompt' is missing"), HasSubstr("POST /edits")));
  EXPECT_THAT(message_of([] { edit_from_json("{", "POST /edits"); }), HasSubstr("POST /edits"));
  EXPECT_THAT(message_of([] { edit_from_json("[]", "POST /edits"); }), HasSubstr("where an object is expected"));
}

// printf 'Alphabet\0The CEO of {} is\0Sundar Pichai\0' | sha256sum
TEST(Edits, DefaultIdIsTheDigestOfSubjectTemplateAndTarget) {
  const Edit with_place =
      only_edit(R"({"subject":"Alphabet","prompt":"The CEO of {} is","target":"Sundar Pichai"})");
  EXPECT_EQ(with_place.id, "78102b60389da427");
  const Edit with_subject =
      only_edit(R"({"subject":"Alphabet","prompt":"The CEO of Alphabet is","target":" Sundar Pichai "})");
  EXPECT_EQ(with_subject, with_place);
  const Edit other = only_edit(R"({"subject":"Alphabet","prompt":"The CEO of {} is","target":"Larry Page"})");
  EXPECT_NE(other.id, with_place.id);
}

TEST(Edits, CounterFactNeighborsAnswerWithTheOldTarget) {
  const EditsFile file = read(R"([{"case_id": 0, "pararel_idx": 2796, "requested_rewrite": {
      "prompt": "The mother tongue of {} is", "relation_id": "P103", "target_new": {"str": "English", "id": "Q1860"},
      "target_true": {"str": "French", "id": "Q150"}, "subject": "Danielle Darrieux"},
      "paraphrase_prompts": ["Shayna does this and Yossel goes still and dies. Danielle Darrieux, a native"],
      "neighborhood_prompts": ["The native language of Montesquieu is", "Michel Rocard is a native speaker of"],
      "attribute_prompts": ["J.R.R. Tolkien is a native speaker of"], "generation_prompts": []}])");
  EXPECT_EQ(file.format, Format::counterfact);
  const Edit edit = file.edits.at(0);
  EXPECT_EQ(edit.subject, "Danielle Darrieux");
  EXPECT_EQ(edit.prompt, "The mother tongue of {} is");
  EXPECT_EQ(edit.target, "English");
  EXPECT_EQ(edit.ground_truth, "French");
  EXPECT_THAT(edit.paraphrases, ElementsAre(HasSubstr("goes still")));
  EXPECT_THAT(edit.neighborhood, ElementsAre(Neighbor{"The native language of Montesquieu is", "French"},
                                             Neighbor{"Michel Rocard is a native speaker of", "French"}));
  EXPECT_EQ(edit.source, "CounterFact, case 0");
  EXPECT_THAT(edit.tags, ElementsAre("P103"));
}

TEST(Edits, EasyEditTakesPromptsAndAnswersAsListsToo) {
  const EditsFile file = read(R"({"subject": "UniFirst", "prompt": "What is the product made by UniFirst?",
      "target_new": "unmanned aircraft", "ground_truth": ["uniform", "uniforms"],
      "rephrase_prompt": ["What will be the product of UniFirst?", "UniFirst makes"],
      "locality_prompt": ["nq question: who won", "The sky is"], "locality_ground_truth": ["Walter Sobchak", "blue"],
      "cond": "uniform >> unmanned aircraft"})");
  EXPECT_EQ(file.format, Format::easyedit);
  const Edit edit = file.edits.at(0);
  EXPECT_EQ(edit.prompt, "What is the product made by {}?");
  EXPECT_EQ(edit.target, "unmanned aircraft");
  EXPECT_EQ(edit.ground_truth, "uniform");
  EXPECT_THAT(edit.paraphrases, ElementsAre("What will be the product of UniFirst?", "UniFirst makes"));
  EXPECT_THAT(edit.neighborhood,
              ElementsAre(Neighbor{"nq question: who won?", "Walter Sobchak"}, Neighbor{"The sky is", "blue"}));
}

TEST(Edits, LocalityListWithoutAnswersTakesTheOldAnswer) {
  const std::string record = R"({"subject": "Croatia", "prompt": "The official language of Croatia is",
      "target_new": "German", %"locality": [{"prompt": "In Verdis, an official language is", "ground_truth": null},
      {"prompt": "The law in Kingdom of Dalmatia declares the language", "ground_truth": "Latin"}]})";
  const auto with = [&](const std::string& field) {
    return std::string(record).replace(record.find('%'), 1, field);
  };
  EXPECT_THAT(only_edit(with(R"("ground_truth": "Croatian", )")).neighborhood,
              ElementsAre(Neighbor{"In Verdis, an official language is", "Croatian"},
                          Neighbor{"The law in Kingdom of Dalmatia declares the language", "Latin"}));
  EXPECT_THAT(only_edit(with("")).neighborhood,
              ElementsAre(Neighbor{"The law in Kingdom of Dalmatia declares the language", "Latin"}));
}

TEST(Edits, MendZsreEditsToTheAlternativeAndCompletesTheUnrelatedQuestion) {
  const EditsFile file = read(R"([{"subject": "UniFirst", "src": "What is the product made by UniFirst?",
      "pred": "uniform", "rephrase": "What will be the product of UniFirst?", "alt": "unmanned aircraft",
      "answers": ["uniform"], "loc": "nq question: john goodman's character in the big lebowski",
      "loc_ans": "Walter Sobchak", "cond": "uniform >> unmanned aircraft || What is the product made by UniFirst?"}])");
  EXPECT_EQ(file.format, Format::mend_zsre);
  const Edit edit = file.edits.at(0);
  EXPECT_EQ(edit.filled_prompt(), "What is the product made by UniFirst?");
  EXPECT_EQ(edit.target, "unmanned aircraft");
  EXPECT_EQ(edit.ground_truth, "uniform");
  EXPECT_THAT(edit.neighborhood, ElementsAre(Neighbor{"nq question: john goodman's character in the big lebowski?",
                                                      "Walter Sobchak"}));
}

// The examples of EasyEdit's examples/KnowEdit.md, shortened.
TEST(Edits, KnowEditWikiDataGivesTheFirstAliasOfEachNeighbor) {
  const EditsFile file = read(R"([{"subject": "Leo Arons", "prompt": "The place of death of Leo Arons is",
      "target_new": "Berlin", "portability": {"Subject_Aliasing": [{"prompt": "The place of death of Martin Leo Arons is", "ground_truth": [["Berlin", "Berlin, Germany"]]}]}, "locality": {"Relation_Specificity": [
      {"prompt": "The name of the father of Leo Arons is", "ground_truth": [["Albert Arons", "A. Arons"]]},
      {"prompt": "The name of the field of work of Leo Arons is", "ground_truth": [["experimental physics"]]}],
      "Forgetfulness": [{"prompt": "The place of death of Leo Arons, which is not Berlin, is",
      "ground_truth": "Paris"}]}}])");
  EXPECT_EQ(file.format, Format::knowedit);
  const Edit edit = file.edits.at(0);
  EXPECT_EQ(edit.prompt, "The place of death of {} is");
  EXPECT_THAT(edit.paraphrases, IsEmpty());
  EXPECT_THAT(edit.portability,
              ElementsAre(Neighbor{"The place of death of Martin Leo Arons is", "Berlin", {"Berlin, Germany"}}));
  EXPECT_THAT(edit.neighborhood,
              testing::UnorderedElementsAre(
                  Neighbor{"The name of the father of Leo Arons is", "Albert Arons"},
                  Neighbor{"The name of the field of work of Leo Arons is", "experimental physics"},
                  Neighbor{"The place of death of Leo Arons, which is not Berlin, is", "Paris"}));
}

TEST(Edits, KnowEditWikiBioContinuesItsText) {
  const EditsFile file = read(
      R"([{"text": "This is a Wikipedia passage about john russell reynolds. Sir John Russell Reynolds, 1st Baronet was a British neurologist.", "labels": "He received general education from his father.",
      "concept": "john russell reynolds", "locality": {"Relation_Specificity": [
      {"prompt": "The field of work of john russell reynolds is", "ground_truth": ["medicine"]}]}}])");
  EXPECT_EQ(file.format, Format::knowedit);
  EXPECT_THAT(file.edits.at(0).prompt, testing::StartsWith("This is a Wikipedia passage about {}. Sir John"));
  EXPECT_EQ(file.edits.at(0).target, "He received general education from his father.");
  EXPECT_THAT(file.edits.at(0).neighborhood,
              ElementsAre(Neighbor{"The field of work of john russell reynolds is", "medicine"}));
}

TEST(Edits, KnowEditZsreTakesTheRephrasing) {
  const EditsFile file = read(R"([{"subject": "Epaspidoceras", "target_new": "Noctuidae",
      "prompt": "Which family does Epaspidoceras belong to?", "ground_truth": ["Aspidoceratidae"],
      "rephrase_prompt": "What family are Epaspidoceras?", "locality": {"Relation_Specificity": []},
      "portability": {"Reasoning": []}}])");
  EXPECT_EQ(file.format, Format::knowedit);
  EXPECT_EQ(file.edits.at(0).ground_truth, "Aspidoceratidae");
  EXPECT_THAT(file.edits.at(0).paraphrases, ElementsAre("What family are Epaspidoceras?"));
}

TEST(EasyEditFormat, WhatOfPortabilityCannotBeReadEndsNoEdit) {
  const auto portability_of = [](const std::string& portability) {
    return only_edit(
               R"({"subject": "Watts", "prompt": "Watts attended", "target_new": "Michigan", "portability": )" +
               portability + "}")
        .portability;
  };
  EXPECT_THAT(portability_of(R"("none")"), IsEmpty());
  EXPECT_THAT(portability_of(R"([{"prompt": "a", "ground_truth": 3.5}])"), IsEmpty());
  EXPECT_THAT(portability_of(R"([{"prompt": ["a", "b"], "ground_truth": ["x"]}])"), IsEmpty());
  EXPECT_THAT(portability_of(R"([{"prompt": ["a"], "ground_truth": ["Rome", "Roma"]}])"),
              ElementsAre(Neighbor{"a", "Rome", {"Roma"}}));
}

// The question that EasyEdit's "..._portability_gpt4.json" add to records of MEND's ZsRE and of CounterFact.
TEST(Edits, PortabilityOfEasyEditsEarlierFilesIsOneQuestion) {
  const std::string portability =
      R"("portability": {"Recalled Relation": "Watts attended Trinity", "New Question": "In which city did he live?",
         "New Answer": "Ann Arbor"})";
  const Neighbor expected{"In which city did he live?", "Ann Arbor"};
  EXPECT_THAT(
      only_edit(R"({"subject": "Watts", "src": "What did Watts attend?", "alt": "Michigan", )" + portability + "}")
          .portability,
      ElementsAre(expected));
  EXPECT_THAT(only_edit(R"({"requested_rewrite": {"prompt": "{} attended", "subject": "Watts",
                            "target_new": {"str": "Michigan"}}, )" +
                        portability + "}")
                  .portability,
              ElementsAre(expected));
  EXPECT_THAT(only_edit(R"({"subject": "Watts", "prompt": "{} attended", "target_new": "Michigan",
                            "portability_prompt": "He lived in", "portability_ground_truth": ["Ann Arbor", "A2"]})")
                  .portability,
              ElementsAre(Neighbor{"He lived in", "Ann Arbor", {"A2"}}));
  EXPECT_THAT(only_edit(R"({"subject": "Watts", "prompt": "{} attended", "target_new": "Michigan",
                            "portability": [{"prompt": ["a", "b"], "ground_truth": ["x", "y"]}]})")
                  .portability,
              ElementsAre(Neighbor{"a", "x"}, Neighbor{"b", "y"}));
}

// The example of MQuAKE's README, with a second rewrite that cannot be used and a third that can.
TEST(Edits, MquakeCaseGivesAnEditARewriteAndRejectsTheBadOneAlone) {
  const EditsFile file = read(R"([{"case_id": 2500, "requested_rewrite": [
      {"prompt": "{} is a citizen of", "relation_id": "P27", "target_new": {"str": "Libya", "id": "Q1016"},
       "target_true": {"str": "United States of America", "id": "Q30"}, "subject": "Vince McMahon",
       "question": "What is the country of citizenship of Vince McMahon?"},
      {"prompt": "The capital of {} is", "target_new": {"str": ""}, "subject": "Libya"},
      {"prompt": "The capital of {} is", "target_new": {"str": "Franklin"}, "subject": "Libya"}],
      "questions": ["What city?", "Which one?"], "answer": "Washington, D.C.", "new_answer": "Franklin",
      "new_answer_alias": ["Frankie", "Franklin"], "single_hops": [], "new_single_hops": [
      {"question": "What is the capital of Libya?", "cloze": "The capital of Libya is", "answer": "Franklin"}]}])");
  EXPECT_EQ(file.format, Format::mquake);
  ASSERT_EQ(file.edits.size(), 2U);
  EXPECT_EQ(file.edits[0].filled_prompt(), "Vince McMahon is a citizen of");
  EXPECT_EQ(file.edits[0].ground_truth, "United States of America");
  EXPECT_THAT(file.edits[0].paraphrases, ElementsAre("What is the country of citizenship of Vince McMahon?"));
  EXPECT_EQ(file.edits[0].source, "MQuAKE, case 2500");
  EXPECT_EQ(file.edits[1].target, "Franklin");
  for (const Edit& edit : file.edits) {
    EXPECT_THAT(edit.portability, ElementsAre(Neighbor{"What city?", "Franklin", {"Frankie"}},
                                              Neighbor{"Which one?", "Franklin", {"Frankie"}}));
  }
  ASSERT_EQ(file.rejected.size(), 1U);
  EXPECT_THAT(file.rejected[0].where, testing::EndsWith("facts.json, index 0, rewrite 1"));
  EXPECT_EQ(file.rejected[0].reason, "field 'target_new' holds no 'str'");
}

TEST(Edits, SubjectThatIsNotThereExactlyOnceIsRejectedWithTheReason) {
  EXPECT_EQ(reason(R"({"subject": "Paris", "prompt": "Paris, as Paris, lies in", "target": "x"})"),
            "subject 'Paris' occurs 2 times in prompt 'Paris, as Paris, lies in'; put {} where it is meant");
  EXPECT_EQ(reason(R"({"subject": "Paris", "prompt": "paris lies in", "target": "x"})"),
            "subject 'Paris' does not occur in prompt 'paris lies in', only in another case");
  EXPECT_THAT(reason(R"({"subject": "Élan", "prompt": "the éLAN is", "target": "x"})"), HasSubstr("another case"));
  EXPECT_EQ(reason(R"({"subject": "Paris", "prompt": "Rome lies in", "target": "x"})"),
            "subject 'Paris' does not occur in prompt 'Rome lies in'");
  EXPECT_EQ(reason(R"({"subject": "Paris", "prompt": "{} or {} lies in", "target": "x"})"),
            "prompt '{} or {} lies in' has {} 2 times where once is expected");
}

TEST(Edits, PlaceForTheSubjectWinsOverItsOccurrences) {
  EXPECT_EQ(only_edit(R"({"subject": "Paris", "prompt": "{}, not Paris Hilton, is", "target": "x"})").prompt,
            "{}, not Paris Hilton, is");
}

TEST(Edits, FieldsThatAreMissingEmptyOrOfTheWrongTypeAreRejectedWithTheReason) {
  EXPECT_EQ(reason(R"({"prompt": "{} is", "target": "x"})"), "field 'subject' is missing");
  EXPECT_EQ(reason(R"({"subject": null, "prompt": "{} is", "target": "x"})"), "field 'subject' is missing");
  EXPECT_EQ(reason(R"({"subject": "s", "prompt": "{} is", "target": "  "})"), "field 'target' is empty");
  EXPECT_EQ(reason(R"({"subject": {}, "prompt": "{} is", "target": "x"})"),
            "field 'subject' holds an object where a text is expected");
  EXPECT_EQ(reason(R"({"subject": "s", "prompt": "{} is", "target": "x", "paraphrases": [true]})"),
            "field 'paraphrases' holds a truth value where a text is expected");
  EXPECT_EQ(reason(R"({"subject": "s", "prompt": "{} is", "target": "x", "neighborhood": [{"prompt": "p"}]})"),
            "field 'answer' is missing");
  EXPECT_THAT(reason(R"({"subject": "s", "prompt": "{} is", "target": "x", "neighborhood": ["p"]})"),
              HasSubstr("where an object is expected"));
}

TEST(Edits, MisspeltNativeFieldIsRejectedAndOtherFieldsAreNot) {
  EXPECT_EQ(reason(R"({"subject": "s", "prompt": "{} is", "target": "x", "neighbourhood": []})"),
            "field 'neighbourhood' is not known; is 'neighborhood' meant?");
  EXPECT_EQ(reason(R"({"subject": "s", "prompt": "{} is", "target": "x", "portabilty": []})"),
            "field 'portabilty' is not known; is 'portability' meant?");
  only_edit(R"({"subject": "s", "prompt": "{} is", "target": "x", "checked_by": "Ada", "year": 2026})");
  only_edit(R"({"subject": "s", "prompt": "{} is", "target": "x", "probability": 0.5, "target_id": "Q1"})");
}

TEST(Edits, JsonLinesTolerateMarkCarriageReturnsAndBlankLinesAndSetBadLinesAside) {
  const EditsFile file = read(
      "\xEF\xBB\xBF\r\n"
      R"({"subject": "a", "prompt": "{} is", "target": "x"})"
      "\r\n\r\n"
      R"({"subject": "b", "prompt": "{} is", "target": )"
      "\r\n"
      "{\"subject\": \"\xFF\"}\r\n"
      R"({"subject": "c", "prompt": "{} is", "target": "z"})");
  ASSERT_EQ(file.edits.size(), 2U);
  EXPECT_EQ(file.edits[0].target, "x");
  EXPECT_EQ(file.edits[1].subject, "c");
  ASSERT_EQ(file.rejected.size(), 2U);
  EXPECT_THAT(file.rejected[0].where, testing::EndsWith("facts.json, line 4"));
  EXPECT_THAT(file.rejected[0].reason, HasSubstr("expected JSON"));
  EXPECT_THAT(file.rejected[1].where, testing::EndsWith("line 5"));
  EXPECT_EQ(file.rejected[1].reason, "bytes that are not UTF-8");
}

TEST(Edits, WholeNumbersAreTheTextOfTheirDigits) {
  const Edit edit = only_edit(
      R"({"id": 17, "subject": 1984, "prompt": "{} has", "target": 7, "ground_truth": [-3], "paraphrases": [12],)"
      R"( "neighborhood": [{"prompt": 1, "answer": 2}], "tags": [20261128, "b"], "source": 9})");
  const Edit expected{.id = "17",
                      .subject = "1984",
                      .prompt = "{} has",
                      .target = "7",
                      .ground_truth = "-3",
                      .paraphrases = {"12"},
                      .neighborhood = {{"1", "2"}},
                      .source = "9",
                      .tags = {"20261128", "b"}};
  EXPECT_EQ(edit, expected);
  EXPECT_THAT(reason(R"({"subject": "a", "prompt": "{} is", "target": 3.10})"),
              HasSubstr("field 'target' holds the number 3.1, of which the digits would not be kept"));
  EXPECT_THAT(reason(R"({"subject": "a", "prompt": "{} is", "target": 99999999999999999999})"),
              HasSubstr("in quotes"));
  EXPECT_THAT(reason(R"({"subject": "a", "prompt": "{} is", "target": true})"), HasSubstr("a truth value"));
}

TEST(Edits, WhatIsNullIsNotGiven) {
  const Edit edit =
      only_edit(R"({"id": null, "subject": "a", "prompt": "{} is", "target": "x", "ground_truth": null,
      "paraphrases": null, "neighborhood": null, "source": null, "tags": null})");
  EXPECT_EQ(edit, only_edit(R"({"subject": "a", "prompt": "{} is", "target": "x"})"));
  EXPECT_EQ(only_edit(R"({"case_id": null, "requested_rewrite": {"prompt": "{} is", "subject": "a",
      "target_new": {"str": "x"}, "target_true": null}, "paraphrase_prompts": null, "neighborhood_prompts": null})")
                .source,
            "CounterFact");
  EXPECT_THAT(only_edit(R"({"subject": "a", "prompt": "a is", "target_new": "x",
      "locality": {"Forgetfulness": null, "Relation": [{"prompt": "b is", "ground_truth": "y"}]}})")
                  .neighborhood,
              ElementsAre(Neighbor{"b is", "y"}));
  EXPECT_THAT(only_edit(R"({"id": null, "subject": "a", "prompt": "a is", "target": "x", "rephrase": null,
      "locality": null})")
                  .neighborhood,
              IsEmpty());
}

// QAEdit's numbers are those of its sources, and come twice.
TEST(Edits, QaEditIsToldFromTheNativeFormByItsOwnFields) {
  const EditsFile file = read(R"([{"id": 7, "source": "NQ", "prompt": "who wrote emma?", "target": "Jane Austen",
      "subject": "emma", "rephrase": "Who is the author?", "locality": [{"loc": "who sang hey", "loc_ans": "Ann"}]},
      {"id": 7, "source": "SQA", "prompt": "who?", "target": "x", "subject": "emma", "locality": []}])");
  EXPECT_EQ(file.format, Format::qaedit);
  const Edit expected{.id = file.edits.at(0).id,
                      .subject = "emma",
                      .prompt = "who wrote {}?",
                      .target = "Jane Austen",
                      .paraphrases = {"Who is the author?"},
                      .neighborhood = {{"who sang hey", "Ann"}},
                      .source = "NQ, case 7"};
  EXPECT_EQ(file.edits.at(0), expected);
  EXPECT_EQ(file.edits.at(0).id, default_id(expected));
  EXPECT_THAT(file.rejected.at(0).reason, HasSubstr("subject 'emma' does not occur"));
}

TEST(Edits, FieldGivenTwiceIsRejected) {
  const EditsFile file =
      read(native + "\n" + R"({"subject": "a", "prompt": "{} is", "target": "x", "target": "y"})");
  EXPECT_EQ(file.edits.size(), 1U);
  EXPECT_THAT(file.rejected.at(0).reason, HasSubstr("'target' twice"));
}

TEST(Edits, ArrayListOfRecordsAndLinesGiveTheSameEdits) {
  const std::string one = R"({"subject": "a", "prompt": "{} is", "target": "x"})";
  const std::string two = R"({"subject": "b", "prompt": "{} is", "target": "y"})";
  const EditsFile lines = read(one + "\n" + two);
  EXPECT_EQ(lines.edits.size(), 2U);
  EXPECT_EQ(read("[" + one + ",\n" + two + "]").edits, lines.edits);
  EXPECT_EQ(read("{\"name\": \"n\", \"records\": [" + one + ", " + two + "]}").edits, lines.edits);
}

TEST(Edits, FileAsAWholeUnusableIsAnErrorThatNamesItAndThePlace) {
  const auto message = [](std::string_view content) { return message_of([&] { read(content); }); };
  EXPECT_THAT(message(""), AllOf(HasSubstr("at least one record"), HasSubstr("facts.json")));
  EXPECT_THAT(message("\xEF\xBB\xBF \r\n"), HasSubstr("at least one record"));
  EXPECT_THAT(message("[]"), HasSubstr("at least one record"));
  EXPECT_THAT(message("[\n{\"subject\": \"a\"},\n{]"), AllOf(HasSubstr("facts.json"), HasSubstr("line 3")));
  EXPECT_THAT(message("[\n\"\xC3\x28\"]"), AllOf(HasSubstr("text in UTF-8"), HasSubstr("line 2")));
  EXPECT_THAT(message("subject,prompt,target\na,b,c\n"), AllOf(HasSubstr("facts.json"), HasSubstr("line 1")));
  EXPECT_THAT(message("{\n \"records\": [\n  {\"subject\": }]}"), HasSubstr("line 3"));
  EXPECT_THAT(message_of([] { read_edits("/nowhere/facts.json"); }), HasSubstr("found none"));
  EXPECT_THAT(message_of([] { read_edits("/tmp"); }), HasSubstr("a directory"));
}

TEST(Edits, UnclearFormatNamesTheFieldsAndTheKnownFormats) {
  const auto message = [](std::string_view content) { return message_of([&] { read(content); }); };
  EXPECT_THAT(message(R"([{"question": "q", "answer": "a"}])"),
              AllOf(HasSubstr("the fields answer, question"), HasSubstr("index 0"), HasSubstr("mend-zsre (")));
  EXPECT_THAT(message(R"([{"subject": "s", "prompt": "{}", "target": "x", "target_new": "y"}])"),
              HasSubstr("one known format"));
  EXPECT_THAT(message("[1, 2]"), HasSubstr("a number"));
}

TEST(Edits, ForcedFormatSettlesWhatIsUnclear) {
  const std::string both = R"([{"subject": "s", "prompt": "{} is", "target": "x", "target_new": "y"}])";
  EXPECT_EQ(read(both, Format::native).edits.at(0).target, "x");
  EXPECT_EQ(read(both, Format::easyedit).edits.at(0).target, "y");
  EXPECT_EQ(read(both, Format::mquake).rejected.size(), 1U);
}

TEST(Edits, FormatIsThatOfTheFirstRecordThatTellsOne) {
  const EditsFile file = read("7\n{}\n" + native);
  EXPECT_EQ(file.format, Format::native);
  EXPECT_EQ(file.rejected.size(), 2U);
  EXPECT_EQ(file.edits.size(), 1U);
}

TEST(Edits, ExamplesInTheDocumentationReadAsTheirFormats) {
  std::ifstream page(std::filesystem::path(tests::source_path()) / "docs/edits.md");
  std::vector<std::string_view> found;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("{")) continue;
    const EditsFile file = read(line);
    EXPECT_EQ(file.edits.size(), 1U) << line;
    found.push_back(name_of(file.format));
  }
  EXPECT_THAT(found, ElementsAre("native", "counterfact", "easyedit", "mend-zsre", "knowedit", "knowedit", "mquake",
                                 "qaedit"));
}

TEST(Edits, EveryFormatIsFoundByItsName) {
  for (const Format format : {Format::native, Format::counterfact, Format::easyedit, Format::mend_zsre,
                              Format::knowedit, Format::mquake, Format::qaedit}) {
    EXPECT_EQ(format_named(name_of(format)), format);
    EXPECT_THAT(known_formats(), HasSubstr(std::string(name_of(format))));
  }
  EXPECT_EQ(format_named("zsre"), std::nullopt);
}

}  // namespace
}  // namespace anchorage::io
