#include "io/tokenizer/tokenizer_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TokenizerConfig : public testing::Test {
 protected:
  // A vocabulary of "a" and "b", with the added token <s>.
  TokenizerConfig() {
    const json start = {{"id", 2},         {"content", "<s>"},    {"single_word", false}, {"lstrip", false},
                        {"rstrip", false}, {"normalized", false}, {"special", true}};
    const json vocabulary = {{"a", 0}, {"b", 1}};
    const json model = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}};
    folder.write("tokenizer.json", json{{"added_tokens", {start}}, {"model", model}}.dump());
  }

  std::vector<std::string> alone() const {
    return tokens_of_config_alone(folder.path(), Tokenizer::load(folder.path()));
  }
  std::vector<std::string> alone(const json& config) const {
    folder.write("tokenizer_config.json", config.dump());
    return alone();
  }

  tests::TemporaryDirectory folder;
};

TEST_F(TokenizerConfig, AddsNothingWhereThereIsNone) {
  EXPECT_THAT(alone(), IsEmpty());
}

TEST_F(TokenizerConfig, TokensThatTokenizerJsonHasAreNotReported) {
  EXPECT_THAT(alone({{"bos_token", "<s>"},
                     {"eos_token", {{"__type", "AddedToken"}, {"content", "<s>"}}},
                     {"pad_token", nullptr},
                     {"add_bos_token", true},
                     {"added_tokens_decoder", {{"2", {{"content", "<s>"}, {"special", true}}}}},
                     {"additional_special_tokens", {"<s>"}}}),
              IsEmpty());
}

TEST_F(TokenizerConfig, OthersAreEachReportedOnce) {
  EXPECT_THAT(alone({{"added_tokens_decoder", {{"2", {{"content", "<s>"}}}, {"3", {{"content", "ab"}}}}},
                     {"additional_special_tokens", {"<call>", "ab"}},
                     {"eos_token", {{"content", "<end>"}}},
                     {"extra_special_tokens", {{"image_token", "<image>"}}},
                     {"pad_token", "<pad>"}}),
              ElementsAre("ab", "<call>", "<end>", "<image>", "<pad>"));
}

TEST_F(TokenizerConfig, WhatIsNoTokenIsPassedOver) {
  EXPECT_THAT(alone({{"eos_token", 7}, {"added_tokens_decoder", {1, nullptr, json::object()}}, {"bos_token", ""}}),
              IsEmpty());
  EXPECT_THAT(alone(json::array({"<x>"})), IsEmpty());
}

TEST_F(TokenizerConfig, WhatIsNotJsonIsRefusedWithItsFile) {
  folder.write("tokenizer_config.json", "{\"bos_token\": ");
  EXPECT_THAT(tests::message_of([&] { alone(); }), HasSubstr("tokenizer_config.json"));
}

}  // namespace
}  // namespace anchorage::io
