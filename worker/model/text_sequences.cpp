#include "worker/model/text_sequences.hpp"

#include "io/error.hpp"
#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {

TextSequences::TextSequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer, std::int64_t length,
                             std::int64_t rows)
    : path_(text),
      file_(text, std::ios::binary),
      tokenizer_(tokenizer),
      length_(static_cast<std::size_t>(length)),
      rows_(rows) {
  if (!file_ || std::filesystem::is_directory(text)) {
    throw io::UserError({.expected = "a text file",
                         .found = "none that can be read",
                         .where = text.string(),
                         .remedy = "check the path"});
  }
  // What the post-processor puts before a text; what it puts behind one has no place inside running text.
  const TokenIds bare = tokenizer_.encode("a"), whole = tokenizer_.encode("a", {.add_special_tokens = true});
  for (const std::int32_t id : whole) {
    if (id == bare.front()) break;
    start_.push_back(id);
  }
  require_rows(start_, tokenizer_, rows_, "what tokenizer.json puts before a text");
}

std::optional<TokenIds> TextSequences::next() {
  const std::size_t wanted = length_ - start_.size();
  std::string line;
  while (pending_.size() < wanted && std::getline(file_, line)) {
    ++line_;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const TokenIds ids = tokenizer_.encode(line + "\n");
    require_rows(ids, tokenizer_, rows_, fmt::format("{}, line {}", path_.string(), line_));
    pending_.insert(pending_.end(), ids.begin(), ids.end());
  }
  if (pending_.empty()) return std::nullopt;
  const std::size_t count = std::min(wanted, pending_.size());
  TokenIds sequence = start_;
  sequence.insert(sequence.end(), pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  return sequence;
}

}  // namespace anchorage::worker
