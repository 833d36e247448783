#include "sharding/edit_order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

// An edit for each letter, its subject.
std::vector<io::Edit> edits_about(const std::string& subjects) {
  std::vector<io::Edit> edits;
  for (const char subject : subjects) {
    edits.push_back({.id = std::to_string(edits.size()), .subject = std::string(1, subject)});
  }
  return edits;
}

std::string subjects_of(const std::vector<io::Edit>& edits) {
  std::string subjects;
  for (const io::Edit& edit : edits) subjects += edit.subject;
  return subjects;
}

std::vector<io::Edit> ordered(const std::vector<io::Edit>& edits, std::int64_t group_size) {
  std::vector<io::Edit> in_order;
  for (const std::int64_t edit : order_by_subject(edits, group_size))
    in_order.push_back(edits[static_cast<std::size_t>(edit)]);
  return in_order;
}

TEST(EditOrder, BringsEditsOfOneSubjectIntoOneGroup) {
  struct Case {
    std::string given;
    std::int64_t group_size;
    std::string expected;
  };
  for (const auto& [given, group_size, expected] : {
           Case{"", 2, ""},
           {"abcde", 2, "abcde"},          // nothing repeats
           {"aabbcc", 2, "aabbcc"},        // together already
           {"abac", 2, "aabc"},            // where the first is
           {"bcada", 8, "bcaad"},          // in a group that has room
           {"abbc", 2, "acbb"},            // a later single one fills the group up
           {"abbcdeb", 4, "abbbcde"},      // no need to
           {"abcbdbef", 4, "abbbcdef"},    //
           {"abcddedf", 5, "abcefddd"},    // two of them
           {"abbaccdde", 3, "aaebbccdd"},  // one, and then none is left: the group's end parts them
           {"abb", 2, "abb"},              // none to fill up with
           {"aabbcc", 3, "aabbcc"},        // subjects that repeat do not fill up
           {"abbbbc", 3, "abbbbc"},        // more than a group
           {"abcabcabc", 3, "aaabbbccc"},  //
           {"abcabcabc", 1, "aaabbbccc"},  // groups of one: nothing can be shared
       }) {
    EXPECT_EQ(subjects_of(ordered(edits_about(given), group_size)), expected)
        << "'" << given << "' in groups of " << group_size;
  }
}

TEST(EditOrder, ComparesSubjectsToTheLetter) {
  std::vector<io::Edit> edits(3);
  edits[0].subject = "Nike";
  edits[1].subject = "nike";
  edits[2].subject = "Nike ";
  EXPECT_THAT(order_by_subject(edits, 4), testing::ElementsAre(0, 1, 2));
}

// Returns how many groups a subject is in.
std::int64_t groups_with(const std::string& subjects, char subject, std::int64_t group_size) {
  std::int64_t groups = 0;
  for (std::size_t begin = 0; begin < subjects.size(); begin += static_cast<std::size_t>(group_size))
    groups += subjects.substr(begin, static_cast<std::size_t>(group_size)).find(subject) != std::string::npos;
  return groups;
}

TEST(EditOrder, IsAPermutationThatKeepsTheOrderOfSubjectsAndOfEditsOfOneAndIsStable) {
  std::mt19937 random(3);
  for (int repetition = 0; repetition < 2000; ++repetition) {
    std::string subjects;
    const auto count = random() % 25, kinds = 1 + random() % 20;
    for (std::size_t i = 0; i < count; ++i) subjects += static_cast<char>('a' + random() % kinds);
    const auto group_size = static_cast<std::int64_t>(1 + random() % 7);
    SCOPED_TRACE("'" + subjects + "' in groups of " + std::to_string(group_size));
    const auto edits = edits_about(subjects);
    const auto order = order_by_subject(edits, group_size);

    auto sorted = order;
    std::ranges::sort(sorted);
    std::vector<std::int64_t> all(edits.size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(sorted, all);

    std::map<char, std::vector<std::int64_t>> of_subject;
    std::vector<std::int64_t> singles, first_of_several;
    const std::string in_order = subjects_of(ordered(edits, group_size));
    for (const std::int64_t edit : order) {
      const char subject = subjects[static_cast<std::size_t>(edit)];
      of_subject[subject].push_back(edit);
      const bool repeats = std::ranges::count(subjects, subject) > 1;
      if (!repeats) singles.push_back(edit);
      if (repeats && of_subject[subject].size() == 1) first_of_several.push_back(edit);
    }
    EXPECT_TRUE(std::ranges::is_sorted(singles));
    EXPECT_TRUE(std::ranges::is_sorted(first_of_several));
    for (const auto& [subject, of_one] : of_subject) {
      EXPECT_TRUE(std::ranges::is_sorted(of_one));
      const std::size_t begin = in_order.find(subject);
      EXPECT_EQ(in_order.substr(begin, of_one.size()), std::string(of_one.size(), subject)) << "not together";
    }
    if (first_of_several.empty()) {
      EXPECT_EQ(order, all);
    }
    EXPECT_EQ(subjects_of(ordered(ordered(edits, group_size), group_size)), in_order) << "ordered again";
  }
}

TEST(EditOrder, PartsNoSubjectWhereEditsOfOthersCanFillEveryGroup) {
  std::mt19937 random(7);
  constexpr std::int64_t group_size = 4;
  for (int repetition = 0; repetition < 500; ++repetition) {
    std::string subjects;
    const auto repeated = 1 + random() % 5;
    for (std::size_t i = 0; i < repeated; ++i)
      subjects += std::string(2 + random() % (group_size - 1), static_cast<char>('a' + i));
    std::ranges::shuffle(subjects, random);
    for (int i = 0; i < 20; ++i) subjects += static_cast<char>('A' + i);
    const std::string in_order = subjects_of(ordered(edits_about(subjects), group_size));
    for (std::size_t i = 0; i < repeated; ++i)
      EXPECT_EQ(groups_with(in_order, static_cast<char>('a' + i), group_size), 1) << subjects << " -> " << in_order;
  }
}

TEST(EditOrder, GroupsOfNothingAreAnInternalError) {
  EXPECT_THROW((void)order_by_subject(edits_about("ab"), 0), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
