// A damaged, malicious or unknown tokenizer.json is a clear UserError that names the file, never a crash.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class HostileTokenizer : public testing::Test {
 protected:
  HostileTokenizer() {
    std::string folder = (fs::temp_directory_path() / "anchorage-hostile-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = folder;
  }
  ~HostileTokenizer() override { fs::remove_all(folder_); }

  Tokenizer load(const std::string& content) const {
    std::ofstream(file()) << content;
    return Tokenizer::load(file());
  }

  // Of the valid file with `value` at `place`.
  Tokenizer load_with(const std::string& place, const json& value) const {
    json changed = valid();
    changed[json::json_pointer(place)] = value;
    return load(changed.dump());
  }

  std::string diagnostic(const std::string& place, const json& value) const {
    try {
      load_with(place, value);
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file().string()));
      return error.what();
    }
    return "loaded without diagnostic";
  }

  std::string diagnostic_of(const std::string& content) const {
    try {
      load(content);
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file().string()));
      return error.what();
    }
    return "loaded without diagnostic";
  }

  static json valid() {
    return json::parse(R"({
      "version": "1.0", "truncation": null, "padding": null,
      "added_tokens": [{"id": 4, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                        "normalized": false, "special": true}],
      "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
      "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3}, "merges": [["a", "b"], "ab b"]}})");
  }

  fs::path file() const { return folder_ / "tokenizer.json"; }

 private:
  fs::path folder_;
};

TEST_F(HostileTokenizer, ValidFileThatTheOthersAreMadeOfLoads) {
  const Tokenizer tokenizer = load(valid().dump());
  EXPECT_EQ(tokenizer.encode("abb<s>ab"), (std::vector<std::int32_t>{3, 4, 2}));
}

TEST_F(HostileTokenizer, MissingFileIsNamed) {
  try {
    Tokenizer::load(file());
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("expected a tokenizer.json"), HasSubstr(file().string())));
  }
}

TEST_F(HostileTokenizer, WhatIsNotJsonIsRefused) {
  EXPECT_THAT(diagnostic_of(""), HasSubstr("expected JSON"));
  EXPECT_THAT(diagnostic_of("\x7f"
                            "ELF"),
              HasSubstr("expected JSON"));
  EXPECT_THAT(diagnostic_of("{\"model\": {\"vocab\": {\"\xff\": 1}}}"), HasSubstr("expected JSON"));
  EXPECT_THAT(diagnostic_of("[1, 2]"), HasSubstr("expected an object"));
  EXPECT_THAT(diagnostic_of("{}"), HasSubstr("expected a member \"model\""));
}

TEST_F(HostileTokenizer, FileCutOffAnywhereIsRefused) {
  const std::string whole = valid().dump();
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    EXPECT_THAT(diagnostic_of(whole.substr(0, length)), HasSubstr("may have been cut off")) << length;
  }
}

TEST_F(HostileTokenizer, AnyMemberOfAnotherTypeIsRefusedOrHarmless) {
  const json flat = valid().flatten();
  for (const auto& [place, unused] : flat.items()) {
    for (const json& value :
         {json(-1), json(1e300), json("\u0000"), json::array({json::array()}), json(true), json(nullptr)}) {
      try {
        load_with(place, value).encode("abab<s>");
      } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("expected"));
      }
    }
  }
}

TEST_F(HostileTokenizer, IdsThatCannotBeAreRefused) {
  EXPECT_THAT(diagnostic("/model/vocab/a", -1), AllOf(HasSubstr("found -1"), HasSubstr("model.vocab.a")));
  EXPECT_THAT(diagnostic("/model/vocab/a", 1.5), HasSubstr("found 1.5"));
  EXPECT_THAT(diagnostic("/model/vocab/a", 2147483647), HasSubstr("expected a whole number"));
  EXPECT_THAT(diagnostic("/model/vocab/a", 18446744073709551615U), HasSubstr("expected a whole number"));
  EXPECT_THAT(diagnostic("/model/vocab/a", 1), HasSubstr("expected one token for each id"));
  EXPECT_THAT(diagnostic("/added_tokens/0/id", 9),
              AllOf(HasSubstr("expected the id 4 for '<s>'"), HasSubstr("found 9")));
  EXPECT_THAT(diagnostic("/added_tokens/1", valid()["added_tokens"][0]), HasSubstr("each added token once"));
  const json processor = {{"type", "BertProcessing"}, {"sep", {"</s>", 77}}, {"cls", {"<s>", 4}}};
  EXPECT_THAT(diagnostic("/post_processor", processor), HasSubstr("77, which is no token's"));
}

TEST_F(HostileTokenizer, GreatestIdCostsNoMemory) {
  const Tokenizer tokenizer = load_with("/model/vocab/a", 2147483646);
  EXPECT_EQ(tokenizer.encode("a"), std::vector<std::int32_t>{2147483646});
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{2147483646}), "a");
}

TEST_F(HostileTokenizer, MergesOfUnknownTokensAreRefused) {
  EXPECT_THAT(diagnostic("/model/merges/0", "a c"), HasSubstr("'c' in the merge 'a c'"));
  EXPECT_THAT(diagnostic("/model/merges/0", "b a"), HasSubstr("'ba' in the merge 'b a'"));
  EXPECT_THAT(diagnostic("/model/merges/0", "a b b"), HasSubstr("expected pairs of tokens"));
  EXPECT_THAT(diagnostic("/model/merges/0", "ab"), HasSubstr("expected pairs of tokens"));
  EXPECT_THAT(diagnostic("/model/merges/0", json::array({"a"})), HasSubstr("expected pairs of tokens"));
  EXPECT_THAT(diagnostic("/model/merges", nullptr), HasSubstr("model.merges"));
}

TEST_F(HostileTokenizer, NestingWithoutEndIsRefused) {
  constexpr int depth = 100'000;
  const auto nested_in = [](const std::string& place, const std::string& opening, const std::string& closing) {
    std::string content = valid().dump();
    const std::string member = "\"" + place + "\":null";
    std::string nested = "\"" + place + "\":";
    for (int i = 0; i < depth; ++i) nested += opening;
    for (int i = 0; i < depth; ++i) nested += closing;
    return content.replace(content.find(member), member.size(), nested);
  };
  const std::string sequence = R"({"type":"Sequence","normalizers":[)";
  EXPECT_THAT(diagnostic_of(nested_in("normalizer", sequence, "]}")), HasSubstr("deeper nesting"));
  EXPECT_THAT(diagnostic_of(nested_in("unk_token", "[", "]")), HasSubstr("deeper nesting"));
}

TEST_F(HostileTokenizer, ModelsOfOtherKindsAreRefusedByName) {
  const auto refused = [](const char* kind) {
    return AllOf(HasSubstr("expected a tokenizer of the kinds that are implemented"),
                 HasSubstr(fmt::format("the model \"{}\"", kind)), HasSubstr("tokenizer.json, at model"));
  };
  const json pieces = json::array({json::array({"<unk>", 0.0}), json::array({"a", -1.5})});
  const json words = {{"[UNK]", 0}, {"a", 1}};
  json unigram = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", pieces}, {"byte_fallback", false}};
  json word_piece = {{"type", "WordPiece"},
                     {"unk_token", "[UNK]"},
                     {"continuing_subword_prefix", "##"},
                     {"max_input_chars_per_word", 100},
                     {"vocab", words}};
  json word_level = {{"type", "WordLevel"}, {"unk_token", "[UNK]"}, {"vocab", words}};
  EXPECT_THAT(diagnostic("/model", unigram), refused("Unigram"));
  EXPECT_THAT(diagnostic("/model", word_piece), refused("WordPiece"));
  EXPECT_THAT(diagnostic("/model", word_level), refused("WordLevel"));
  for (json* model : {&unigram, &word_piece, &word_level}) model->erase("type");  // as older versions wrote them
  EXPECT_THAT(diagnostic("/model", unigram), refused("Unigram"));
  EXPECT_THAT(diagnostic("/model", word_piece), refused("WordPiece"));
  EXPECT_THAT(diagnostic("/model", word_level), refused("WordLevel"));
}

// Of each list, all that `tokenizers` has and this reader has not.
TEST_F(HostileTokenizer, PartsThatAreNotImplementedAreRefusedByName) {
  for (const char* type : {"BertNormalizer", "StripAccents", "Nmt", "Precompiled", "ByteLevel"}) {
    EXPECT_THAT(diagnostic("/normalizer", {{"type", type}}), HasSubstr(fmt::format("the normalizer \"{}\"", type)));
  }
  for (const char* type :
       {"BertPreTokenizer", "CharDelimiterSplit", "Punctuation", "Whitespace", "UnicodeScripts", "FixedLength"}) {
    EXPECT_THAT(diagnostic("/pre_tokenizer", {{"type", type}}),
                HasSubstr(fmt::format("the pre-tokenizer \"{}\"", type)));
  }
  for (const char* type : {"WordPiece", "BPEDecoder", "CTC"}) {
    EXPECT_THAT(diagnostic("/decoder", {{"type", type}}), HasSubstr(fmt::format("the decoder \"{}\"", type)));
  }
}

TEST_F(HostileTokenizer, UnknownPartsAreRefusedByName) {
  EXPECT_THAT(diagnostic("/model/dropout", 0.1), HasSubstr("dropout"));
  EXPECT_THAT(diagnostic("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(diagnostic("/model/continuing_subword_prefix", "##"), HasSubstr("continuing_subword_prefix"));
  EXPECT_THAT(diagnostic("/model/cache", 1), HasSubstr("the member \"cache\""));
  EXPECT_THAT(diagnostic("/version", "2.0"), HasSubstr("version 2.0"));
  EXPECT_THAT(diagnostic("/seed", 1), HasSubstr("the member \"seed\""));
  EXPECT_THAT(diagnostic("/post_processor", {{"type", "Odd"}}), HasSubstr("the post-processor \"Odd\""));
  const json inner = {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "CTC"}}}}};
  EXPECT_THAT(diagnostic("/decoder", inner),
              AllOf(HasSubstr("the decoder \"CTC\""), HasSubstr("decoder.decoders[1]")));
}

TEST_F(HostileTokenizer, PatternsThatWouldMeanSomethingElseAreRefused) {
  const auto with_pattern = [](const std::string& regex) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  for (const std::string construct :
       {"a{2}+", "a{2}?", "a(?i)b", "(?m).", "\\bx", "\\R", "\\X", "(a)\\1", "[[:punct:]]", "\\p{Punct}",
        "\\p{Any}", "[a--b]", "\\xe9", "\\G", "\\pL", "[]a]", "(?<n>a)"}) {
    EXPECT_THAT(diagnostic("/pre_tokenizer", with_pattern(construct)), HasSubstr("in a regular expression"))
        << construct;
  }
  for (const std::string broken : {"(", "a)", "[a", "*", "(?=", "\\p{L"}) {
    EXPECT_THAT(diagnostic("/pre_tokenizer", with_pattern(broken)), HasSubstr("regular expression")) << broken;
  }
  EXPECT_THAT(diagnostic("/pre_tokenizer", with_pattern("")), HasSubstr("an empty pattern"));
  json other = with_pattern("a");
  other["behavior"] = "Kept";
  EXPECT_THAT(diagnostic("/pre_tokenizer", other), HasSubstr("the behavior \"Kept\""));
}

}  // namespace
}  // namespace anchorage::io
