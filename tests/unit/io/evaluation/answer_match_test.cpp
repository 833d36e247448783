// Cases by hand, and what SQuAD's official evaluation (evaluate-v1.1.py) makes of them.
#include "io/evaluation/answer_match.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace anchorage::io {
namespace {

using testing::Optional;

using Answers = std::vector<std::string>;

TEST(AnswerMatch, NormalizesAsSquadDoes) {
  EXPECT_EQ(normalized_answer("The Denver Broncos."), "denver broncos");
  EXPECT_EQ(normalized_answer(" Santa Clara,\tCalifornia\n"), "santa clara california");
  EXPECT_EQ(normalized_answer("an apple a day, the  end"), "apple day end");
  EXPECT_EQ(normalized_answer("U.S. Levi's (Stadium)"), "us levis stadium");
  EXPECT_EQ(normalized_answer("Berlin,Germany"), "berlingermany") << "punctuation leaves no gap";
  EXPECT_EQ(normalized_answer("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "");
  EXPECT_EQ(normalized_answer(""), "");
}

TEST(AnswerMatch, RemovesArticlesThatAreWordsAndNoPartsOfThem) {
  EXPECT_EQ(normalized_answer("Theatre Anna bath"), "theatre anna bath");
  EXPECT_EQ(normalized_answer("the-atre"), "theatre") << "punctuation goes before articles do";
  EXPECT_EQ(normalized_answer("a1 1a the2"), "a1 1a the2");
  EXPECT_EQ(normalized_answer("à thé"), "à thé");
  EXPECT_EQ(normalized_answer("the\u2013end"), "\u2013end") << "a dash ends a word";
}

TEST(AnswerMatch, LowersAndSplitsByUnicodeAndRemovesPunctuationOfAsciiAlone) {
  EXPECT_EQ(normalized_answer("ÉLAN ΟΔΟΣ İ"), "élan οδος i\u0307");
  EXPECT_EQ(normalized_answer("São\u00a0Paulo\u3000SP"), "são paulo sp");
  EXPECT_EQ(normalized_answer("«Élan»…"), "«élan»…");
  EXPECT_EQ(normalized_answer("𝔄 𐐀"), "𝔄 𐐨") << "characters beyond sixteen bits";
  EXPECT_EQ(normalized_answer("x\xffy"), "x\ufffdy");
}

TEST(AnswerMatch, ExactIsEqualToOneOfTheAnswersOnceNormalized) {
  EXPECT_TRUE(matches_exactly(" the Denver Broncos!", Answers{"Carolina Panthers", "Denver broncos"}));
  EXPECT_FALSE(matches_exactly("Denver Broncos won", Answers{"Denver Broncos"}));
  EXPECT_FALSE(matches_exactly("Denver", Answers{}));
}

TEST(AnswerMatch, ContainedIsARunOfWholeWords) {
  EXPECT_TRUE(contains_answer("He sits in Berlin, of course", Answers{"in"}));
  EXPECT_FALSE(contains_answer("Berlin", Answers{"in"}));
  EXPECT_TRUE(contains_answer("It is the New York Times", Answers{"new york"}));
  EXPECT_FALSE(contains_answer("a new town near York", Answers{"New York"}));
  EXPECT_FALSE(contains_answer("New Yorkers", Answers{"New York"}));
  EXPECT_TRUE(contains_answer("Berlin", Answers{"Paris", "Berlin"}));
  EXPECT_TRUE(contains_answer("York of the New", Answers{"of New"})) << "articles do not part words";
}

TEST(AnswerMatch, AnAnswerOfWhichNothingIsLeftIsNeverGiven) {
  for (const std::string answer : {"A", "...", ""}) {
    EXPECT_FALSE(matches_exactly("", Answers{answer}));
    EXPECT_FALSE(matches_exactly("the", Answers{answer}));
    EXPECT_FALSE(contains_answer("anything", Answers{answer}));
  }
}

TEST(AnswerMatch, ATextStopsAtAMarkAfterSomethingWasSaid) {
  EXPECT_THAT(stop_mark_in(" Berlin. It"), Optional(7U));
  EXPECT_THAT(stop_mark_in("\n\n Berlin\nParis."), Optional(9U));
  EXPECT_THAT(stop_mark_in("3.5"), Optional(1U));
  EXPECT_THAT(stop_mark_in("..."), Optional(1U));
  EXPECT_EQ(stop_mark_in(" \n\n"), std::nullopt);
  EXPECT_EQ(stop_mark_in("Berlin"), std::nullopt);
  EXPECT_EQ(stop_mark_in("\n."), std::nullopt);
  EXPECT_EQ(stop_mark_in(""), std::nullopt);
}

}  // namespace
}  // namespace anchorage::io
