// ROUGE against rouge-score of PyPI, and by hand.
#include "io/evaluation/rouge.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

TEST(RougeScores, CountByHand) {
  const Rouge scores = rouge("the cat sat on the mat", "the cat is on the mat");
  EXPECT_DOUBLE_EQ(scores.one, 5.0 / 6);      // the, cat, on, the, mat of six words each
  EXPECT_DOUBLE_EQ(scores.two, 3.0 / 5);      // "the cat", "on the", "the mat" of five pairs each
  EXPECT_DOUBLE_EQ(scores.longest, 5.0 / 6);  // the cat on the mat
  EXPECT_DOUBLE_EQ(scores.mean(), (5.0 / 6 + 3.0 / 5 + 5.0 / 6) / 3);
}

TEST(RougeScores, AreZeroWithoutWords) {
  for (const auto& [text, reference] : {std::pair("", "a b"), {"a b", ""}, {"", ""}, {"...", "a"}}) {
    EXPECT_EQ(rouge(text, reference).one, 0);
    EXPECT_EQ(rouge(text, reference).two, 0);
    EXPECT_EQ(rouge(text, reference).longest, 0);
  }
}

// Texts of a few words, so that much is shared and repeated, with what tokenizers disagree about.
std::string random_text(std::mt19937_64& random) {
  static const std::vector<std::string> words = {
      "cat",   "Cat",         "sat",           "on",  "the",  "The", "mat", "U.S.", "co-op", "it's", "3.5",
      "naïve", "\u212Aelvin", "\u0130stanbul", "_x_", "東京", "\n",  "\t ", "re-do"};
  std::string text;
  const auto length = random() % 12;
  for (std::uint64_t i = 0; i < length; ++i)
    text += words[random() % words.size()] + (random() % 8 == 0 ? "," : " ");
  return text;
}

TEST(RougeScores, AgreeWithTheReferenceImplementation) {
  std::mt19937_64 random(7);
  nlohmann::json pairs = nlohmann::json::array();
  for (int i = 0; i < 400; ++i) {
    const std::string text = random_text(random), reference = random_text(random);
    pairs.push_back({text, reference});
  }
  const tests::TemporaryDirectory folder;
  folder.write("pairs.json", pairs.dump());
  const std::string scores_file = (folder.path() / "scores.json").string();
  const std::string command = "'" + tests::python_path() + "' -B '" + tests::source_path() +
                              "/tests/golden/rouge.py' '" + (folder.path() / "pairs.json").string() + "' '" +
                              scores_file + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream stream(scores_file);
  const auto expected = nlohmann::json::parse(stream);
  ASSERT_EQ(expected.size(), pairs.size());
  double sum = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Rouge scores = rouge(pairs[i][0].get<std::string>(), pairs[i][1].get<std::string>());
    EXPECT_NEAR(scores.one, expected[i][0].get<double>(), 1e-12) << pairs[i];
    EXPECT_NEAR(scores.two, expected[i][1].get<double>(), 1e-12) << pairs[i];
    EXPECT_NEAR(scores.longest, expected[i][2].get<double>(), 1e-12) << pairs[i];
    sum += scores.mean();
  }
  EXPECT_GT(sum, 40);  // they share something
}

}  // namespace
}  // namespace anchorage::io
