#include "io/tokenizer/pre_tokenizer.hpp"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/metaspace.hpp"
#include "io/tokenizer/split.hpp"

namespace anchorage::io {
namespace {

// openai/gpt-2, src/encoder.py.
constexpr std::string_view kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Rust's char::is_numeric, one version of Unicode further than its regular expressions.
constexpr std::string_view kDigit = R"([\p{N}\x{11de0}-\x{11de9}\x{16ff4}-\x{16ff6}])";

class ByteLevel {
 public:
  static ByteLevel parse(const JsonNode& node) {
    node.allow_only({"add_prefix_space", "trim_offsets", "use_regex"});
    return {node.member("add_prefix_space").flag(), node.member("use_regex").flag_or(true)};
  }

  std::vector<std::string> operator()(std::string text) const {
    if (prefix_space_ && !text.starts_with(' ')) text.insert(text.begin(), ' ');
    std::vector<std::string> words = split_ ? split_->apply(text) : std::vector{std::move(text)};
    for (std::string& word : words) word = to_byte_characters(word);
    return words;
  }

 private:
  ByteLevel(bool prefix_space, bool use_regex) : prefix_space_(prefix_space) {
    if (use_regex) split_.emplace(Pattern::compile(kGpt2Words), SplitBehavior::isolated);
  }

  bool prefix_space_;
  std::optional<Split> split_;
};

}  // namespace

PreTokenizer PreTokenizer::parse(const JsonNode& node, bool start_may_move) {
  PreTokenizer pre_tokenizer;
  if (!node.is_null()) pre_tokenizer.add(node, start_may_move);
  return pre_tokenizer;
}

void PreTokenizer::add(const JsonNode& node, bool start_may_move) {
  const std::string type = node.type();
  const auto add_split = [this](Split split) {
    steps_.push_back([split = std::move(split)](const std::string& word, Position) { return split.apply(word); });
  };
  if (type == "Sequence") {
    node.allow_only({"pretokenizers"});
    for (const JsonNode& element : node.member("pretokenizers").elements()) add(element, start_may_move);
  } else if (type == "ByteLevel") {
    steps_.push_back(
        [byte_level = ByteLevel::parse(node)](const std::string& word, Position) { return byte_level(word); });
  } else if (type == "Split") {
    node.allow_only({"pattern", "behavior", "invert"});
    const Matches matches = node.member("invert").flag() ? Matches::are_words : Matches::are_delimiters;
    add_split({Pattern::parse(node.member("pattern")), parse_behavior(node.member("behavior")), matches});
  } else if (type == "Digits") {
    node.allow_only({"individual_digits"});
    const bool individual = node.member("individual_digits").flag();
    add_split({Pattern::compile(kDigit), individual ? SplitBehavior::isolated : SplitBehavior::contiguous});
  } else if (type == "WhitespaceSplit") {
    node.allow_only({});
    add_split({Pattern::compile("\\s"), SplitBehavior::removed});
  } else if (type == "Metaspace") {
    const Metaspace metaspace = Metaspace::parse(node);
    if (metaspace.scheme == Metaspace::Scheme::first && (start_may_move || !steps_.empty())) {
      node.not_implemented("the prepend_scheme \"first\" after steps that may change where the text starts");
    }
    steps_.push_back([metaspace](const std::string& word, Position position) {
      return metaspace.split_words(word, position == Position::text_start);
    });
  } else {
    node.not_implemented(fmt::format("the pre-tokenizer \"{}\"", type));
  }
}

std::vector<std::string> PreTokenizer::apply(std::string text, Position position) const {
  std::vector<std::string> words;
  if (!text.empty()) words.push_back(std::move(text));
  for (const Step& step : steps_) {
    std::vector<std::string> parts;
    for (const std::string& word : words) {
      std::vector<std::string> found = step(word, position);
      parts.insert(parts.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    }
    words = std::move(parts);
  }
  return words;
}

}  // namespace anchorage::io
