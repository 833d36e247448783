// NFC, NFD, NFKC and NFKD, character by character, recording what each one became: the normalization of
// `tokenizers`, whose tables are those of Unicode 9.0.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "io/tokenizer/aligned_text.hpp"

namespace anchorage::io {

class UnicodeForm {
 public:
  // Returns the form called `type`; nothing where it is not a normalization form.
  static std::optional<UnicodeForm> named(const std::string& type);

  void apply(AlignedText& text) const;

 private:
  struct Tables;
  explicit UnicodeForm(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

  std::shared_ptr<const Tables> tables_;
};

}  // namespace anchorage::io
