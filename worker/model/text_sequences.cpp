#include "worker/model/text_sequences.hpp"

#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {

TextSequences::TextSequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer, std::int64_t length,
                             std::int64_t rows)
    : lines_(text),
      tokenizer_(tokenizer),
      length_(static_cast<std::size_t>(length)),
      rows_(rows),
      start_(tokenizer.start_ids()) {  // special tokens after a text do not belong inside running text
  require_rows(start_, tokenizer_, rows_, "what tokenizer.json puts before a text");
}

std::optional<TokenIds> TextSequences::next() {
  const std::size_t wanted = length_ - start_.size();
  while (pending_.size() < wanted) {
    const auto line = lines_.next();
    if (!line) break;
    const TokenIds ids = tokenizer_.encode(line->text + "\n");
    require_rows(ids, tokenizer_, rows_, line->where);
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
