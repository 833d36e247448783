#include "io/edits/word_boundary.hpp"

#include <gtest/gtest.h>

namespace anchorage::io {
namespace {

TEST(UsualTargetPrefix, IsASpaceBehindAWord) {
  EXPECT_EQ(typical_target_prefix("The CEO of Boeing is", "Kelly Ortberg"), " ");
  EXPECT_EQ(typical_target_prefix("It is (I think)", "blue"), " ");
  EXPECT_EQ(typical_target_prefix("Q: who? A:", "nobody"), " ");
  EXPECT_EQ(typical_target_prefix("She said \"yes\"", "twice"), " ");
  EXPECT_EQ(typical_target_prefix("It costs 5 €", "a kilo"), " ");
  EXPECT_EQ(typical_target_prefix("대한민국의 수도는", "서울"), " ") << "Korean is written with spaces";
  EXPECT_EQ(typical_target_prefix("Tokyo is written", "東京"), " ") << "an English sentence continues";
  EXPECT_EQ(typical_target_prefix("The frameworks are called", ".NET"), " ");
}

TEST(UsualTargetPrefix, IsNothingWhereTheTextGoesOnWithoutASpace) {
  EXPECT_EQ(typical_target_prefix("The book costs $", "7.00"), "");
  EXPECT_EQ(typical_target_prefix("Das Buch kostet €", "7"), "");
  EXPECT_EQ(typical_target_prefix("波音公司的首席执行官是", "凯利"), "");
  EXPECT_EQ(typical_target_prefix("首席执行官：", "Kelly Ortberg"), "");
  EXPECT_EQ(typical_target_prefix("ボーイングのCEOは", "ケリー"), "");
  EXPECT_EQ(typical_target_prefix("他的名字写作Kelly", "凯利"), "");
  EXPECT_EQ(typical_target_prefix("Question: who?\nAnswer:\n", "nobody"), "");
  EXPECT_EQ(typical_target_prefix("It is called \"", "Dune"), "");
  EXPECT_EQ(typical_target_prefix("the jet F-", "16"), "");
  EXPECT_EQ(typical_target_prefix("the jet (", "F-16"), "");
  EXPECT_EQ(typical_target_prefix("He left", ", sadly"), "");
  EXPECT_EQ(typical_target_prefix("", "x"), "");
}

TEST(LongerWord, IsFoundOnBothSidesOfTheSubject) {
  EXPECT_EQ(longer_word("the {}ian state is led by", "Iran"), "Iranian");
  EXPECT_EQ(longer_word("In North{} one eats", "ern"), "Northern");
  EXPECT_EQ(longer_word("pre{}ed", "test"), "pretested");
}

TEST(LongerWord, IsNoneWhereTheSubjectIsAWordOfItsOwn) {
  EXPECT_EQ(longer_word("The CEO of {} is", "Boeing"), std::nullopt);
  EXPECT_EQ(longer_word("{}'s CEO is", "Boeing"), std::nullopt);
  EXPECT_EQ(longer_word("{}", "Boeing"), std::nullopt);
  EXPECT_EQ(longer_word("the price of {}s is", "Acme Inc."), std::nullopt) << "it ends with a full stop";
  EXPECT_EQ(longer_word("波音{}的首席执行官是", "公司"), std::nullopt) << "no spaces in Chinese";
}

}  // namespace
}  // namespace anchorage::io
