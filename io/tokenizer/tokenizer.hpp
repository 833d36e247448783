// Converts text to token ids and back, as a model's tokenizer.json prescribes.
//
// The ids are those of Hugging Face's `tokenizers` for the same file. It supports what byte-level BPE (GPT-2,
// Llama 3, Qwen, Phi-4, Mistral Nemo) and BPE with byte fallback (Llama 2, Mistral, Gemma, Phi-3) consist of;
// loading refuses anything else in the file by name. tokenizer_config.json has no part in it. The file's
// `truncation` and `padding` are not applied: they are settings for one shape of batches, and `transformers`
// overrides them on every call as well.
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
  bool add_special_tokens = false;  // those that the file's post-processor adds around a text, such as <s>
};

struct DecodeOptions {
  // Leaves out added tokens that the file marks as special. Like `tokenizers`, this keeps a token that is
  // marked as normalized and that the normalizer changes ("<s>" in early Llama-2 files).
  bool skip_special_tokens = false;
};

struct Encoding {
  std::vector<std::int32_t> ids;
  // The characters (code points) of the text that each token stands for, as in `tokenizers`: tokens that are
  // parts of one character each have all of it, and tokens that the post-processor adds have [0, 0).
  std::vector<TextRange> offsets;
};

// Immutable; a copy shares its tables, and several threads may call all functions at once.
class Tokenizer {
 public:
  // Loads a tokenizer.json, or the one in the directory `path`. Throws UserError when it is missing, is not a
  // valid tokenizer.json, or asks for something that is not implemented.
  static Tokenizer load(const std::filesystem::path& path);

  // Encodes a text. Added tokens that occur in it, including special ones, become their ids. Throws UserError
  // when the text is not UTF-8.
  std::vector<std::int32_t> encode(std::string_view utf8, EncodeOptions options = {}) const;
  Encoding encode_with_offsets(std::string_view utf8, EncodeOptions options = {}) const;

  // Returns the ids that the post-processor puts before a text, such as <s>.
  const std::vector<std::int32_t>& start_ids() const;

  // Decodes ids. Ids without a token (a model's output layer may have more rows than there are tokens) give
  // no text. Bytes that are not UTF-8 become U+FFFD, so the result is always UTF-8.
  std::string decode(std::span<const std::int32_t> ids, DecodeOptions options = {}) const;

  // Returns the number of tokens. Ids may have gaps, so the largest id can be greater than this.
  std::size_t vocabulary_size() const;

  // Returns the token as the vocabulary spells it ("Ġthe", "<0x0A>"), which is not the text that it stands
  // for.
  std::optional<std::string> token_of(std::int32_t id) const;
  std::optional<std::int32_t> id_of(std::string_view token) const;

 private:
  struct Parts;
  explicit Tokenizer(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;
};

}  // namespace anchorage::io
