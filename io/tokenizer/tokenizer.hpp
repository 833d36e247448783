// Text to token ids and back, as a model's tokenizer.json prescribes.
//
// The ids are those of Hugging Face's `tokenizers` for the same file. Supported is what byte-level BPE (GPT-2,
// Llama-3, SmolLM2, Qwen2) and BPE with byte fallback (Llama-2) are made of; anything else in the file is refused
// by name when it is loaded. The file's `truncation` and `padding` are not applied: they are settings of whoever
// saved it for batches of a certain shape, and `transformers` overrides them on every call as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/text_range.hpp"

namespace anchorage::io {

struct EncodeOptions {
  bool add_special_tokens = false;  // those the file's post-processor puts around a text, such as <s>
};

struct DecodeOptions {
  // Leave out added tokens that the file marks as special. Like `tokenizers`, this keeps one that is marked as
  // normalized and that the normalizer changes ("<s>" in early Llama-2 files).
  bool skip_special_tokens = false;
};

struct Encoding {
  std::vector<std::int32_t> ids;
  // What each token stands for, in characters (code points) of the text, as `tokenizers` has it: tokens that are
  // parts of one character have all of it, and what the post-processor adds has [0, 0).
  std::vector<TextRange> offsets;
};

// Immutable; a copy shares its tables, and all functions may be called from many threads at once.
class Tokenizer {
 public:
  // `path` is a tokenizer.json or the directory that holds one. UserError when it is missing, is not a valid
  // tokenizer.json, or asks for something that is not implemented.
  static Tokenizer load(const std::filesystem::path& path);

  // Added tokens that occur in the text, special ones among them, become their ids. UserError when the text is not
  // UTF-8.
  std::vector<std::int32_t> encode(std::string_view utf8, EncodeOptions options = {}) const;
  Encoding encode_with_offsets(std::string_view utf8, EncodeOptions options = {}) const;

  // What the post-processor puts before a text, such as <s>.
  const std::vector<std::int32_t>& start_ids() const;

  // Ids without a token (a model's output layer may have more rows than there are tokens) give no text. Bytes that
  // are not UTF-8 become U+FFFD, so the result always is.
  std::string decode(std::span<const std::int32_t> ids, DecodeOptions options = {}) const;

  // How many tokens there are. Ids may have gaps: the largest one can be greater than this.
  std::size_t vocabulary_size() const;

  // As the vocabulary spells it ("Ġthe", "<0x0A>"), which is not the text that it stands for.
  std::optional<std::string> token_of(std::int32_t id) const;
  std::optional<std::int32_t> id_of(std::string_view token) const;

 private:
  struct Parts;
  explicit Tokenizer(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;
};

}  // namespace anchorage::io
