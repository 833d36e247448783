// Our ids and texts against those of the `tokenizers` package, on the texts of tests/golden/tokenizer_strings.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tokenizer/tokenizer.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

const fs::path golden_script = fs::path(tests::source_path()) / "tests/golden/tokenizer_golden.py";
const fs::path shared_tokenizers = fs::path(tests::source_path()) / "../shared/data/tokenizers";

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

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// Returns the file, or where xz has packed it, what it unpacks to in `folder`.
fs::path unpacked(const fs::path& file, const fs::path& folder) {
  if (file.extension() != ".xz") return file;
  fs::path plain = folder / file.stem();
  run(tests::python_path() +
      " -c 'import lzma, sys; open(sys.argv[2], \"wb\").write(lzma.open(sys.argv[1]).read())' '" + file.string() +
      "' '" + plain.string() + "'");
  return plain;
}

// What the script leaves for one tokenizer; gone with this object.
class Golden {
 public:
  Golden(const std::string& name, const fs::path& source) {
    std::string command = tests::python_path() + " -B '" + golden_script.string() + "' " + name + " '" +
                          folder_.path().string() + "'";
    if (!source.empty()) command += " '" + source.string() + "'";
    run(command);
    expected = nlohmann::json::parse(std::ifstream(folder_.path() / "golden.json"));
  }

  fs::path file() const { return folder_.path() / "tokenizer.json"; }

  nlohmann::json expected;

 private:
  tests::TemporaryDirectory folder_;
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

// tests/golden/tokenizer_families.py says what is odd in each.
INSTANTIATE_TEST_SUITE_P(Families, TrainedTokenizer,
                         testing::Values("gpt2_style", "gptj_style", "gpt_neox_style", "phi2_style",
                                         "smollm2_style", "llama3_style", "qwen2_style", "qwen3_style",
                                         "r1_qwen_style", "phi4_style", "nemo_style", "o200k_style",
                                         "deepseek3_style", "llama2_style", "llama2_published_style",
                                         "mistral_style", "mistral3_style", "phi3_style", "gemma2_style",
                                         "gemma3_style"),
                         [](const auto& test) { return std::string(test.param); });

INSTANTIATE_TEST_SUITE_P(Settings, TrainedTokenizer,
                         testing::Values("gpt2_prefix_space", "trimmed_offsets", "digit_runs", "word_characters",
                                         "metaspace_first", "metaspace_always", "metaspace_never",
                                         "metaspace_first_after_steps", "added_token_flags", "strip_and_nfkd",
                                         "unknown_fused", "unknown_single", "unknown_and_some_bytes", "no_unknown",
                                         "split_merged_with_previous", "split_merged_with_next", "split_contiguous",
                                         "split_removed", "split_removed_inverted", "split_merged_inverted",
                                         "every_letter", "every_number", "every_mark_and_symbol",
                                         "every_punctuation", "every_other", "every_case", "every_word_character",
                                         "every_space", "every_nfc", "every_nfd", "every_nfkc", "every_nfkd"),
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

const fs::path gpt2_file = shared_tokenizers / "gpt2/tokenizer.json";
const fs::path llama2_file = shared_tokenizers / "llama2/tokenizer.json";
const fs::path llama32_file = shared_tokenizers / "llama3/Llama-3.1-and-3.2-Instruct/tokenizer.json.xz";

INSTANTIATE_TEST_SUITE_P(
    Tokenizer, RealTokenizer,
    testing::Values(
        RealFile{"gpt2", gpt2_file}, RealFile{"gpt_neox", shared_tokenizers / "gpt-neox/20B_tokenizer.json"},
        RealFile{"llama2", llama2_file}, RealFile{"tinyllama", shared_tokenizers / "tinyllama/tokenizer.json"},
        RealFile{"llama3", shared_tokenizers / "llama3/Meta-Llama-3-8B/tokenizer.json.xz"},
        RealFile{"llama32", llama32_file},
        RealFile{"mistral", shared_tokenizers / "mistral/Mistral-7B-v0.1/tokenizer.json"},
        RealFile{"mistral2_legacy", shared_tokenizers / "mistral/Mistral-7B-Instruct-v0.2-legacy/tokenizer.json"},
        RealFile{"mistral3", shared_tokenizers / "mistral/Mistral-7B-v0.3/tokenizer.json"},
        RealFile{"qwen2", shared_tokenizers / "qwen2/tokenizer.json.xz"},
        RealFile{"qwen25", shared_tokenizers / "qwen2.5/tokenizer.json.xz"},
        RealFile{"qwen3", shared_tokenizers / "qwen3/tokenizer.json.xz"},
        RealFile{"r1_qwen", shared_tokenizers / "deepseek-r1-distill-qwen/tokenizer.json.xz"},
        RealFile{"phi2", shared_tokenizers / "phi2/tokenizer.json"},
        RealFile{"phi3", shared_tokenizers / "phi3/tokenizer.json"},
        RealFile{"phi4", shared_tokenizers / "phi4/tokenizer.json.xz"},
        RealFile{"smollm2", shared_tokenizers / "smollm2/tokenizer.json"}, RealFile{"demo", demo_model()}),
    [](const auto& test) { return std::string(test.param.name); });

// huggingface/swift-transformers' own vectors, in which neither our reading nor our use of `tokenizers` has a part:
// a text in a file of its own, and short ones below the model's name in tokenizer_tests.json.
struct PublishedVectors {
  const char* name;
  fs::path tokenizer;
  const char* text;
  bool special;
  const char* short_texts;
};

void PrintTo(const PublishedVectors& vectors, std::ostream* out) {
  *out << vectors.name;
}

class PublishedIds : public testing::TestWithParam<PublishedVectors> {
 protected:
  static nlohmann::json vectors(const char* file) {
    return nlohmann::json::parse(std::ifstream(shared_tokenizers / "test_vectors" / file));
  }
};

TEST_P(PublishedIds, AreReproduced) {
  const auto& [unused, file, text, special, short_texts] = GetParam();
  for (const fs::path& needed : {file, shared_tokenizers / "test_vectors/tokenizer_tests.json"}) {
    if (!fs::exists(needed)) GTEST_SKIP() << "no " << needed;
  }
  const tests::TemporaryDirectory folder;
  const Tokenizer tokenizer = Tokenizer::load(unpacked(file, folder.path()));
  const auto ids_of = [&](const nlohmann::json& given, bool with_special) {
    return tokenizer.encode(given.get<std::string>(), {.add_special_tokens = with_special});
  };
  using Ids = std::vector<std::int32_t>;
  const auto whole = vectors(text);
  EXPECT_EQ(ids_of(whole["text"], special), whole["token_ids"].get<Ids>());
  const auto short_vectors = vectors("tokenizer_tests.json");
  for (const auto& one : short_vectors.at(short_texts)) {
    EXPECT_EQ(ids_of(one["input"], true), one["encoded"]["input_ids"].get<Ids>()) << one["input"];
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, PublishedIds,
                         testing::Values(PublishedVectors{"gpt2", gpt2_file, "gpt2_encoded_tokens.json", false,
                                                          "distilgpt2"},
                                         PublishedVectors{"llama2", llama2_file, "llama_encoded.json", true,
                                                          "coreml-projects/Llama-2-7b-chat-coreml"},
                                         PublishedVectors{"llama32", llama32_file, "llama_3.2_encoded.json", true,
                                                          "pcuenq/Llama-3.2-1B-Instruct-tokenizer"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace anchorage::io
