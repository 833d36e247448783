#include "io/tokenizer/pre_tokenizer.hpp"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/metaspace.hpp"
#include "io/tokenizer/split.hpp"

namespace anchorage::io {
namespace {

// openai/gpt-2, src/encoder.py.
constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Rust's char::is_numeric, one version of Unicode ahead of its regular expressions.
constexpr std::string_view digit_pattern = R"([\p{N}\x{11de0}-\x{11de9}\x{16ff4}-\x{16ff6}])";

std::vector<AlignedText> parts(const AlignedText& text, const Split& split) {
  std::vector<AlignedText> words;
  for (const TextRange& range : split.apply(text.text())) words.push_back(text.part(range));
  return words;
}

class ByteLevel {
 public:
  static ByteLevel parse(const JsonNode& node) {
    node.allow_only({"add_prefix_space", "trim_offsets", "use_regex"});
    return {node.member("add_prefix_space").flag(), node.member("use_regex").flag_or(true)};
  }

  std::vector<AlignedText> operator()(AlignedText text) const {
    if (prefix_space_ && !text.starts_with(" ")) text.prepend(" ");
    std::vector<AlignedText> words = split_ ? parts(text, *split_) : std::vector{std::move(text)};
    for (AlignedText& word : words) word.replace_bytes(to_byte_characters(word.text()));
    return words;
  }

 private:
  ByteLevel(bool prefix_space, bool use_regex) : prefix_space_(prefix_space) {
    if (use_regex) split_.emplace(Pattern::compile(gpt2_words), SplitBehavior::isolated);
  }

  bool prefix_space_;
  std::optional<Split> split_;
};

}  // namespace

PreTokenizer PreTokenizer::parse(const JsonNode& node) {
  PreTokenizer pre_tokenizer;
  if (!node.is_null()) pre_tokenizer.add(node);
  return pre_tokenizer;
}

void PreTokenizer::add(const JsonNode& node) {
  const std::string type = node.type();
  const auto add_split = [this](Split split) {
    steps_.push_back([split = std::move(split)](const AlignedText& word) { return parts(word, split); });
  };
  if (type == "Sequence") {
    node.allow_only({"pretokenizers"});
    for (const JsonNode& element : node.member("pretokenizers").elements()) add(element);
  } else if (type == "ByteLevel") {
    steps_.push_back(ByteLevel::parse(node));
  } else if (type == "Split") {
    node.allow_only({"pattern", "behavior", "invert"});
    const Matches matches = node.member("invert").flag() ? Matches::are_words : Matches::are_delimiters;
    add_split({Pattern::parse(node.member("pattern")), parse_behavior(node.member("behavior")), matches});
  } else if (type == "Digits") {
    node.allow_only({"individual_digits"});
    const bool individual = node.member("individual_digits").flag();
    add_split({Pattern::compile(digit_pattern), individual ? SplitBehavior::isolated : SplitBehavior::contiguous});
  } else if (type == "WhitespaceSplit") {
    node.allow_only({});
    add_split({Pattern::compile("\\s"), SplitBehavior::removed});
  } else if (type == "Metaspace") {
    steps_.push_back(
        [metaspace = Metaspace::parse(node)](AlignedText word) { return metaspace.split_words(std::move(word)); });
  } else {
    node.not_implemented(fmt::format("the pre-tokenizer \"{}\"", type));
  }
}

std::vector<AlignedText> PreTokenizer::apply(AlignedText text) const {
  std::vector<AlignedText> words;
  if (!text.empty()) words.push_back(std::move(text));
  for (const Step& step : steps_) {
    std::vector<AlignedText> next;
    for (AlignedText& word : words) {
      std::vector<AlignedText> found = step(std::move(word));
      next.insert(next.end(), std::move_iterator(found.begin()), std::move_iterator(found.end()));
    }
    words = std::move(next);
  }
  return words;
}

}  // namespace anchorage::io
