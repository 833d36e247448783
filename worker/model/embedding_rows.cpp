#include "worker/model/embedding_rows.hpp"

#include <algorithm>

namespace anchorage::worker {
namespace {

std::string words(std::int32_t id, const io::Tokenizer& tokenizer) {
  return fmt::format("'{}' (id {})", tokenizer.token_of(id).value_or(""), id);
}

}  // namespace

// Ids may have gaps, so counting the tokens below `rows` says how many lie above.
std::vector<std::string> tokens_without_row(const io::Tokenizer& tokenizer, std::int64_t rows) {
  auto missing = static_cast<std::int64_t>(tokenizer.vocabulary_size());
  for (std::int64_t id = 0; id < rows; ++id) missing -= tokenizer.token_of(static_cast<std::int32_t>(id)) ? 1 : 0;
  constexpr std::int64_t widest_gap = 1 << 20;
  std::vector<std::string> found;
  for (std::int64_t id = rows, last = rows; std::ssize(found) < missing && id - last < widest_gap; ++id) {
    const auto token = static_cast<std::int32_t>(id);
    if (!tokenizer.token_of(token)) continue;
    found.push_back(words(token, tokenizer));
    last = id;
  }
  return found;
}

std::optional<std::string> token_without_row(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer,
                                             std::int64_t rows) {
  const auto found = std::ranges::find_if(ids, [&](std::int32_t id) { return id >= rows; });
  if (found == ids.end()) return std::nullopt;
  return words(*found, tokenizer);
}

io::Diagnostic diagnostic_for_token(const std::string& token, std::int64_t rows, const std::string& where) {
  return {.expected = fmt::format("tokens that the model has one of its {} rows for", rows),
          .found = token,
          .where = where,
          .remedy = "leave the token out, or give the model a row for it (transformers' resize_token_embeddings)"};
}

void require_rows(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer, std::int64_t rows,
                  const std::string& where) {
  if (const auto token = token_without_row(ids, tokenizer, rows))
    throw io::UserError(diagnostic_for_token(*token, rows, where));
}

}  // namespace anchorage::worker
