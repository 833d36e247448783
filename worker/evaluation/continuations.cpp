#include "worker/evaluation/continuations.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include "io/error.hpp"
#include "worker/model/embedding_rows.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t prompts_per_pass = 16;  // the unit of work: independent of the number of ranks

// Returns the prompt's ids; throws io::UserError for one that cannot be continued.
TokenIds continuable_ids(const Transformer& model, const PromptBuilder& prompts, const std::string& prompt,
                         std::int64_t max_new_tokens) {
  TokenIds ids = prompts.prompt_ids(prompt);
  io::Diagnostic diagnostic{
      .expected = "a prompt of at least one token", .found = "none", .where = "", .remedy = ""};
  if (ids.empty()) throw io::UserError(diagnostic);
  require_rows(ids, prompts.tokenizer(), model.config.vocabulary, "");
  const std::int64_t positions = std::ssize(ids) + max_new_tokens - 1;  // the last token takes none
  if (positions <= model.config.max_positions) return ids;
  diagnostic.expected = fmt::format("a prompt that takes at most the model's {} positions with {} new tokens",
                                    model.config.max_positions, max_new_tokens);
  diagnostic.found = std::to_string(positions);
  throw io::UserError(diagnostic);
}

std::vector<std::int32_t> stop_ids(const Transformer& model) {
  return {model.config.eos_ids.begin(), model.config.eos_ids.end()};
}

// Returns [prompts, 1 + max_new_tokens] i64: how many tokens each got, -1 where it cannot be continued, and the
// tokens.
torch::Tensor continue_at_once(const Transformer& model, const PromptBuilder& prompts,
                               std::span<const std::string> texts, std::int64_t max_new_tokens) {
  std::vector<TokenIds> rows;
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    try {
      rows.push_back(continuable_ids(model, prompts, texts[i], max_new_tokens));
      places.push_back(static_cast<std::int64_t>(i));
    } catch (const io::UserError&) {
      // Left out, and said by the caller.
    }
  }
  auto table = torch::full({std::ssize(texts), 1 + max_new_tokens}, -1, torch::kInt64);
  if (rows.empty()) return table;
  const auto produced = generate(model, rows, {.max_new_tokens = max_new_tokens, .stop_ids = stop_ids(model)});
  auto cells = table.accessor<std::int64_t, 2>();
  for (std::size_t row = 0; row < produced.size(); ++row) {
    auto own = cells[places[row]];
    own[0] = std::ssize(produced[row]);
    for (std::int64_t t = 0; t < own[0]; ++t) own[1 + t] = produced[row][static_cast<std::size_t>(t)];
  }
  return table;
}

}  // namespace

std::optional<std::string> continuation_obstacle(const Transformer& model, const PromptBuilder& prompts,
                                                 const std::string& prompt, std::int64_t max_new_tokens) {
  try {
    continuable_ids(model, prompts, prompt, max_new_tokens);
    return std::nullopt;
  } catch (const io::UserError& error) {
    return error.what();
  }
}

std::vector<std::optional<Continuation>> continue_greedily(const Transformer& model, const PromptBuilder& prompts,
                                                           std::span<const std::string> texts,
                                                           std::int64_t max_new_tokens,
                                                           const Communicators& ranks) {
  std::vector<torch::Tensor> own = {torch::empty({0, 1 + max_new_tokens}, torch::kInt64)};
  for (const auto& group : own_groups(ranks, std::ssize(texts), prompts_per_pass))
    own.push_back(continue_at_once(model, prompts, part_of(texts, group), max_new_tokens));
  model.stages.deliver();
  const auto all = ranks.device.all_gather(at::cat(own).to(model.device()), "gather continuations").cpu();
  std::vector<std::optional<Continuation>> continuations(texts.size());
  const auto cells = all.accessor<std::int64_t, 2>();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = cells[static_cast<std::int64_t>(i)];
    if (row[0] < 0) continue;
    TokenIds ids;
    for (std::int64_t t = 0; t < row[0]; ++t) ids.push_back(static_cast<std::int32_t>(row[1 + t]));
    continuations[i] = {.text = prompts.tokenizer().decode(ids), .has_ended = row[0] < max_new_tokens};
  }
  return continuations;
}

}  // namespace anchorage::worker
