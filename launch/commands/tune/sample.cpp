#include "launch/commands/tune/sample.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/program/first_edits.hpp"
#include "worker/model/text_sequences.hpp"

namespace anchorage::launch {

io::EditsFile read_sample(const std::string& path, const std::optional<std::string>& format, std::int64_t limit,
                          const Session& session) {
  io::EditsFile file = read_first_edits(path, format, limit);
  if (session.is_root()) log_rejected(file);
  if (file.edits.empty()) {
    throw io::UserError({.expected = "a sample of edits",
                         .found = file.rejected.empty()
                                      ? "none"
                                      : fmt::format("none of {} records that can be used; the first: {}",
                                                    file.rejected.size(), file.rejected.front().reason),
                         .where = file.rejected.empty() ? path : file.rejected.front().where,
                         .remedy = "docs/edits.md shows what a record needs"});
  }
  return file;
}

std::vector<worker::TracedFact> facts_to_trace(const io::EditsFile& sample, const worker::PromptBuilder& prompts,
                                               std::int64_t positions, const std::string& path,
                                               const Session& session) {
  std::vector<worker::TracedFact> facts;
  std::string first_reason;
  for (const io::Edit& edit : sample.edits) {
    worker::TracedFact fact = worker::traced_fact(prompts, edit, positions);
    if (fact.is_usable() && fact.subject_last + 1 == std::ssize(fact.ids))
      fact.rejection = fmt::format("expected words after the subject, found '{}'", edit.prompt);
    if (fact.is_usable()) {
      facts.push_back(std::move(fact));
    } else if (first_reason.empty()) {
      first_reason = fmt::format("edit {}: {}", edit.id, fact.rejection);
    }
  }
  if (facts.empty()) {
    throw io::UserError({.expected = "edits whose facts can be traced",
                         .found = "none; the first, " + first_reason,
                         .where = path,
                         .remedy = "give prompts with words after their subject: \"The CEO of {} is\""});
  }
  if (session.is_root() && facts.size() < sample.edits.size())
    spdlog::warn("{} of {} edits are not traced; the first, {}", sample.edits.size() - facts.size(),
                 sample.edits.size(), first_reason);
  return facts;
}

std::vector<worker::TokenIds> held_out_sequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer,
                                                 std::int64_t length, std::int64_t rows, std::int64_t used,
                                                 std::size_t most) {
  worker::TextSequences source(text, tokenizer, length, rows);
  std::vector<worker::TokenIds> sequences;
  std::int64_t seen = 0;
  while (sequences.size() < most) {
    auto sequence = source.next();
    if (!sequence) break;
    const bool is_used = seen < used;
    seen += std::ssize(*sequence);
    if (!is_used && sequence->size() > 1) sequences.push_back(std::move(*sequence));
  }
  if (!sequences.empty()) return sequences;
  throw io::UserError(
      {.expected = fmt::format("text after its first {} tokens, of which the second moments are", used),
       .found = fmt::format("{} tokens in all", seen),
       .where = text.string(),
       .remedy = "give a longer text, or fewer --tokens: the held-out loss is of what follows them"});
}

}  // namespace anchorage::launch
