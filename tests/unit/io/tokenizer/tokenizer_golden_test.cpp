// Our ids and texts against those of the `tokenizers` package, on the texts of tests/golden/tokenizer_strings.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

const fs::path golden_script = fs::path(ANCHORAGE_SOURCE_DIR) / "tests/golden/tokenizer_golden.py";
const fs::path shared_tokenizers = fs::path(ANCHORAGE_SOURCE_DIR) / "../shared/data/tokenizers";

fs::path demo_model() {
  const char* cache = std::getenv("ANCHORAGE_CACHE");
  const char* home = std::getenv("HOME");
  const fs::path root =
      cache != nullptr ? fs::path(cache) : fs::path(home == nullptr ? "" : home) / ".cache/anchorage";
  if (!fs::is_directory(root)) return root / "SmolLM2-135M-Instruct";
  for (const auto& entry : fs::directory_iterator(root)) {
    const fs::path file = entry.path() / "tokenizer.json";
    if (entry.path().filename().string().find("SmolLM2-135M-Instruct") != std::string::npos && fs::exists(file)) {
      return file;
    }
  }
  return root / "SmolLM2-135M-Instruct";
}

// What the script leaves for one tokenizer; gone with this object.
class Golden {
 public:
  Golden(const std::string& name, const fs::path& source) {
    std::string folder = (fs::temp_directory_path() / "anchorage-tokenizer-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = folder;
    std::string command =
        std::string(ANCHORAGE_PYTHON) + " -B '" + golden_script.string() + "' " + name + " '" + folder + "'";
    if (!source.empty()) command += " '" + source.string() + "'";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
    expected = nlohmann::json::parse(std::ifstream(folder_ / "golden.json"));
  }
  ~Golden() { fs::remove_all(folder_); }
  Golden(const Golden&) = delete;
  Golden& operator=(const Golden&) = delete;

  fs::path file() const { return folder_ / "tokenizer.json"; }

  nlohmann::json expected;

 private:
  fs::path folder_;
};

nlohmann::json offsets_of(const Encoding& encoding) {
  auto offsets = nlohmann::json::array();
  for (const TextRange& range : encoding.offsets) offsets.push_back({range.begin, range.end});
  return offsets;
}

void expect_same_as_package(const Golden& golden) {
  const Tokenizer tokenizer = Tokenizer::load(golden.file());
  const auto& expected = golden.expected;
  EXPECT_EQ(tokenizer.vocabulary_size(), expected["vocabulary_size"]);
  ASSERT_GE(expected["texts"].size(), 2000U);
  using Ids = std::vector<std::int32_t>;
  for (std::size_t i = 0; i < expected["texts"].size() && !testing::Test::HasFailure(); ++i) {
    const std::string text = expected["texts"][i];
    SCOPED_TRACE("text " + std::to_string(i) + ": " + expected["texts"][i].dump(-1, ' ', true).substr(0, 400));
    const Ids ids = expected["ids"][i];
    const Ids with_special = expected["with_special"][i];
    EXPECT_EQ(tokenizer.encode(text), ids);
    EXPECT_EQ(tokenizer.encode(text, {.add_special_tokens = true}), with_special);
    EXPECT_EQ(tokenizer.encode_with_offsets(text).ids, ids);
    EXPECT_EQ(offsets_of(tokenizer.encode_with_offsets(text)), expected["offsets"][i]);
    EXPECT_EQ(offsets_of(tokenizer.encode_with_offsets(text, {.add_special_tokens = true})),
              expected["offsets_with_special"][i]);
    EXPECT_EQ(tokenizer.decode(with_special), expected["decoded"][i]);
    EXPECT_EQ(tokenizer.decode(with_special, {.skip_special_tokens = true}),
              expected["decoded_without_special"][i]);
    EXPECT_EQ(tokenizer.decode(Ids(ids.rbegin(), ids.rend())), expected["decoded_backwards"][i]);
  }
}

class TrainedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(TrainedTokenizer, GivesTheIdsOffsetsAndTextsOfTheTokenizersPackage) {
  expect_same_as_package(Golden(GetParam(), {}));
}

INSTANTIATE_TEST_SUITE_P(
    Tokenizer, TrainedTokenizer,
    testing::Values("gpt2_style", "gpt2_prefix_space", "trimmed_offsets", "llama3_style", "qwen2_style",
                    "smollm2_style", "gpt_neox_style", "digit_runs", "o200k_style", "deepseek3_style",
                    "word_characters", "llama2_style", "metaspace_first", "metaspace_always", "metaspace_never",
                    "metaspace_first_after_steps", "gemma_style", "added_token_flags", "strip_and_nfkd",
                    "unknown_fused", "unknown_single", "unknown_and_some_bytes", "no_unknown",
                    "split_merged_with_previous", "split_merged_with_next", "split_contiguous", "split_removed",
                    "split_removed_inverted", "split_merged_inverted", "every_letter", "every_number",
                    "every_mark_and_symbol", "every_punctuation", "every_other", "every_case",
                    "every_word_character", "every_space", "every_nfc", "every_nfd", "every_nfkc", "every_nfkd"),
    [](const auto& test) { return std::string(test.param); });

struct RealFile {
  const char* name;
  fs::path source;
};

void PrintTo(const RealFile& file, std::ostream* out) {
  *out << file.name;
}

class RealTokenizer : public testing::TestWithParam<RealFile> {};

TEST_P(RealTokenizer, GivesTheIdsOffsetsAndTextsOfTheTokenizersPackage) {
  if (!fs::is_regular_file(GetParam().source)) GTEST_SKIP() << "no " << GetParam().source;
  expect_same_as_package(Golden(GetParam().name, GetParam().source));
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, RealTokenizer,
                         testing::Values(RealFile{"gpt2", shared_tokenizers / "gpt2/tokenizer.json"},
                                         RealFile{"gpt_neox", shared_tokenizers / "gpt-neox/20B_tokenizer.json"},
                                         RealFile{"llama2", shared_tokenizers / "llama2/tokenizer.json"},
                                         RealFile{"llama3", shared_tokenizers / "llama3/tokenizer.model.tiktoken"},
                                         RealFile{"qwen2", shared_tokenizers / "qwen/qwen.tiktoken"},
                                         RealFile{"tinyllama", shared_tokenizers / "tinyllama/tokenizer.json"},
                                         RealFile{"mistral",
                                                  shared_tokenizers / "mistral/Mistral-7B-v0.1/tokenizer.json"},
                                         RealFile{"phi2", shared_tokenizers / "phi2/tokenizer.json"},
                                         RealFile{"phi3", shared_tokenizers / "phi3/tokenizer.json"},
                                         RealFile{"smollm2", shared_tokenizers / "smollm2/tokenizer.json"},
                                         RealFile{"demo", demo_model()}),
                         [](const auto& test) { return std::string(test.param.name); });

// huggingface/swift-transformers' own vectors, in which neither our reading nor our use of `tokenizers` has a part.
struct PublishedVectors {
  const char* name;
  fs::path tokenizer;
  const char* vectors;
  bool special;
};

void PrintTo(const PublishedVectors& vectors, std::ostream* out) {
  *out << vectors.name;
}

class PublishedIds : public testing::TestWithParam<PublishedVectors> {};

TEST_P(PublishedIds, AreReproduced) {
  const auto& [unused, file, vectors, special] = GetParam();
  const fs::path vectors_file = shared_tokenizers / "test_vectors" / vectors;
  if (!fs::exists(file) || !fs::exists(vectors_file)) GTEST_SKIP() << "no " << file << " or no " << vectors_file;
  const Tokenizer tokenizer = Tokenizer::load(file);
  const auto expected = nlohmann::json::parse(std::ifstream(vectors_file));
  const auto ids = tokenizer.encode(expected["text"].get<std::string>(), {.add_special_tokens = special});
  EXPECT_EQ(ids, expected["token_ids"].get<std::vector<std::int32_t>>());
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, PublishedIds,
                         testing::Values(PublishedVectors{"gpt2", shared_tokenizers / "gpt2/tokenizer.json",
                                                          "gpt2_encoded_tokens.json", false},
                                         PublishedVectors{"llama2", shared_tokenizers / "llama2/tokenizer.json",
                                                          "llama_encoded.json", true}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace anchorage::io
