#include "io/tokenizer/tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "io/error.hpp"
#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<std::int32_t>;

class TokenizerTest : public testing::Test {
 protected:
  TokenizerTest() {
    std::string folder = (fs::temp_directory_path() / "anchorage-tokenizer-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = folder;
  }
  ~TokenizerTest() override { fs::remove_all(folder_); }

  // All bytes, "ll" and "all", with <end> = 258 as a special token.
  Tokenizer byte_level() const {
    json vocabulary = json::object();
    for (int byte = 0; byte < 256; ++byte) {
      vocabulary[to_byte_characters(std::string(1, static_cast<char>(byte)))] = byte;
    }
    vocabulary["ll"] = 256;
    vocabulary["all"] = 257;
    const json end = {{"id", 258},       {"content", "<end>"},  {"single_word", false}, {"lstrip", false},
                      {"rstrip", false}, {"normalized", false}, {"special", true}};
    const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
    const json tokenizer = {{"added_tokens", {end}},
                            {"pre_tokenizer", byte_level},
                            {"decoder", byte_level},
                            {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"l l", "a ll"}}}}};
    std::ofstream(folder_ / "tokenizer.json") << tokenizer.dump();
    return Tokenizer::load(folder_);
  }

 private:
  fs::path folder_;
};

TEST_F(TokenizerTest, TokensAreFoundByIdAndIdsByToken) {
  const Tokenizer tokenizer = byte_level();
  EXPECT_EQ(tokenizer.vocabulary_size(), 259U);
  EXPECT_EQ(tokenizer.token_of(257), "all");
  EXPECT_EQ(tokenizer.token_of(258), "<end>");
  EXPECT_EQ(tokenizer.token_of(259), std::nullopt);
  EXPECT_EQ(tokenizer.token_of(-1), std::nullopt);
  EXPECT_EQ(tokenizer.id_of("<end>"), 258);
  EXPECT_EQ(tokenizer.id_of("lll"), std::nullopt);
}

TEST_F(TokenizerTest, SpecialTokensInTheTextBecomeTheirIds) {
  const Tokenizer tokenizer = byte_level();
  EXPECT_EQ(tokenizer.encode("all<end>all"), (Ids{257, 258, 257}));
  EXPECT_EQ(tokenizer.decode(Ids{257, 258}), "all<end>");
  EXPECT_EQ(tokenizer.decode(Ids{257, 258}, {.skip_special_tokens = true}), "all");
}

TEST_F(TokenizerTest, TextThatIsNotUtf8IsRefusedWithItsFirstBadByte) {
  const Tokenizer tokenizer = byte_level();
  for (const std::string bad :
       {"ab\xff", "ab\xc3", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80", "ab\x80"}) {
    try {
      tokenizer.encode(bad);
      ADD_FAILURE() << "no exception";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("at offset 2"));
    }
  }
}

TEST_F(TokenizerTest, IdsWithoutTokenAndBytesThatAreNoTextDecodeToValidUtf8) {
  const Tokenizer tokenizer = byte_level();
  EXPECT_EQ(tokenizer.decode(Ids{'a', 100000, -5, 'b'}), "ab");
  EXPECT_EQ(tokenizer.decode(Ids{0xe2, 0x82, 'a', 0xff}), "\uFFFDa\uFFFD");
}

TEST_F(TokenizerTest, ThreadsThatShareATokenizerGetTheSameIds) {
  const Tokenizer tokenizer = byte_level();
  const std::string text = "all that's well, it's 42 \u00e9\U0001f600 <end> \n\n all";
  const Ids expected = tokenizer.encode(text);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (std::size_t t = 0; t < equal.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i)
        equal[t] += tokenizer.encode(text) == expected && tokenizer.decode(expected) == text;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(200));
}

// A quadratic algorithm would need hours.
TEST_F(TokenizerTest, MegabytesWithoutASpaceTakeSeconds) {
  const Tokenizer tokenizer = byte_level();
  const auto start = std::chrono::steady_clock::now();
  for (const std::string unit : {"l", "al", "7", "!", " ", "\n", "\xe6\xbc\xa2"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(ByteCharacters, AllBytesComeBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(code_points(to_byte_characters(bytes)).size(), 256U);
  EXPECT_EQ(from_byte_characters(to_byte_characters(bytes)), bytes);
  EXPECT_EQ(to_byte_characters(" \n"), "ĠĊ");
  EXPECT_EQ(from_byte_characters("a b"), std::nullopt);
}

}  // namespace
}  // namespace anchorage::io
