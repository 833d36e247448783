#include "launch/program/number_checks.hpp"

#include <gtest/gtest.h>

namespace anchorage::launch {
namespace {

// Empty where the text passes.
std::string objection(const CLI::Validator& check, const std::string& text) {
  return check(text);
}

TEST(NumberAboveZero, TakesWhatIsFiniteAndAboveZero) {
  for (const char* text : {"1", "0.5", "1e-3", "120", "1e300", ".5", "5."})
    EXPECT_EQ(objection(number_above_zero(), text), "") << text;
}

TEST(NumberAboveZero, RefusesTheRestAndSaysWhatItFound) {
  for (const std::string text : {"0", "-0", "-1", "nan", "inf", "-inf", "1e400", "1e-400", "", " ", "1 ", " 1",
                                 "1s", "1,5", "one", "+1", "0x1"})
    EXPECT_EQ(objection(number_above_zero(), text), "expected a number above 0, found " + text);
}

TEST(WholeNumber, TakesItsBoundsAndWhatLiesBetween) {
  for (const char* text : {"1", "2", "4095", "4096", "007"})
    EXPECT_EQ(objection(whole_number(1, 4096), text), "") << text;
  EXPECT_EQ(objection(whole_number(-5, -3), "-4"), "");
}

TEST(WholeNumber, RefusesTheRestAndSaysTheBoundsAndWhatItFound) {
  for (const std::string text :
       {"0", "-1", "4097", "1.0", "1e3", "", " ", "1 ", " 1", "+1", "0x10", "one", "nan", "1k"})
    EXPECT_EQ(objection(whole_number(1, 4096), text), "expected a whole number from 1 to 4096, found " + text);
}

TEST(WholeNumber, WithoutAnUpperBoundTakesWhatItsTypeHoldsAndNoMore) {
  EXPECT_EQ(objection(whole_number(0), "9223372036854775807"), "");
  for (const std::string text : {"9223372036854775808", "99999999999999999999999", "-9223372036854775809"})
    EXPECT_EQ(objection(whole_number(0), text),
              "expected a whole number from 0 to 9223372036854775807, found " + text);
}

TEST(NumberChecks, OfAnOptionNameItInTheMessageAndDescribeItInTheHelp) {
  CLI::App program;
  int threads = 0;
  program.add_option("--threads", threads)->check(whole_number(0, most_threads));
  EXPECT_NE(program.help().find("NUMBER of at least 0"), std::string::npos) << program.help();
  try {
    program.parse("--threads 5000");
    FAIL() << "no error";
  } catch (const CLI::ValidationError& error) {
    EXPECT_STREQ(error.what(), "--threads: expected a whole number from 0 to 4096, found 5000");
  }
  program.parse("--threads 4096");
  EXPECT_EQ(threads, 4096);
}

}  // namespace
}  // namespace anchorage::launch
