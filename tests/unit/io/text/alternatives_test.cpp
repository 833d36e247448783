#include "io/text/alternatives.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace anchorage::io {
namespace {

TEST(Alternatives, AreListedWithOrBeforeTheLast) {
  const auto text = [](const std::vector<std::string_view>& names) { return alternatives(names); };
  EXPECT_EQ(text({"eac", "b-eac", "memit"}), "eac, b-eac or memit");
  EXPECT_EQ(text({"gpt2", "llama"}), "gpt2 or llama");
  EXPECT_EQ(text({"gpt2"}), "gpt2");
  EXPECT_EQ(text({}), "");
}

}  // namespace
}  // namespace anchorage::io
