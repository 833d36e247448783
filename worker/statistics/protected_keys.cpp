#include "worker/statistics/protected_keys.hpp"

#include <torch/utils.h>
#include <numeric>
#include <set>
#include <utility>

#include "io/error.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/statistics/last_keys.hpp"

namespace anchorage::worker {
namespace {

PromptRow row_of(const PromptBuilder& builder, const io::ProtectedPrompt& one, std::int64_t positions) {
  if (!one.subject.empty()) {
    return builder.prompt_row({.subject = one.subject, .prompt = one.prompt, .chat_prompt = one.chat_prompt}, "",
                              positions);
  }
  return builder.text_row(one.chat_prompt.empty() ? one.prompt : one.chat_prompt, positions);
}

TokenIds row_up_to(const PromptRow& row, std::int64_t last) {
  return {row.ids.begin(), row.ids.begin() + last + 1};
}

// Brings a layer's keys of a round, in the order of the rows, to rank 0; undefined on others.
torch::Tensor on_root(const Transformer& model, const LastKeysOfRound& round, std::int64_t layer,
                      const Communicators& ranks) {
  constexpr std::string_view operation = "gather protected keys";
  const auto options = torch::TensorOptions(model.device()).dtype(torch::kFloat);
  torch::Tensor keys;
  if (model.holds(layer)) {
    const auto own = round.own.find(layer);
    keys = ranks.device.all_gather(
        own == round.own.end() ? torch::empty({0, model.config.d_ff}, options) : own->second, operation);
  }
  if (ranks.rank() != 0) return {};
  const std::int64_t rows = std::accumulate(round.sizes.begin(), round.sizes.end(), std::int64_t{0});
  keys =
      model.stages.move(keys, model.stages.stage_of(layer), 0, {rows, model.config.d_ff}, torch::kFloat, operation);
  return ranks.is_root() ? keys.cpu() : torch::Tensor();
}

}  // namespace

std::vector<TokenIds> protected_rows(const PromptBuilder& builder, std::span<const io::ProtectedPrompt> prompts,
                                     std::int64_t positions) {
  std::set<TokenIds> seen;
  std::vector<TokenIds> rows;
  const auto add = [&](TokenIds row) {
    if (seen.insert(row).second) rows.push_back(std::move(row));
  };
  for (const io::ProtectedPrompt& one : prompts) {
    const PromptRow row = row_of(builder, one, positions);
    if (!row.is_usable()) {
      throw io::UserError({.expected = "a fact that can be protected",
                           .found = fmt::format("'{}': {}", one.prompt, row.rejection),
                           .where = one.where,
                           .remedy = "fix the record or remove it"});
    }
    if (!one.subject.empty()) add(row_up_to(row, row.subject_last));
    add(row_up_to(row, row.predicts_from));
  }
  return rows;
}

std::vector<io::ProtectedLayer> collect_protected_keys(const Transformer& model, std::span<const TokenIds> rows,
                                                       const std::vector<std::int64_t>& layers,
                                                       const Communicators& ranks) {
  std::vector<io::ProtectedLayer> collected;
  if (ranks.is_root()) {
    for (const std::int64_t layer : layers) {
      collected.push_back({.layer = layer, .keys = {.rows = 0, .columns = model.config.d_ff, .values = {}}});
      collected.back().keys.values.reserve(rows.size() * static_cast<std::size_t>(model.config.d_ff));
    }
  }
  for_last_keys(model, rows, layers, ranks, [&](const LastKeysOfRound& round) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto keys = on_root(model, round, layers[i], ranks);
      if (!keys.defined()) continue;
      const io::Matrix part = to_matrix(keys);
      io::Matrix& all = collected[i].keys;
      all.values.insert(all.values.end(), part.values.begin(), part.values.end());
      all.rows += part.rows;
    }
    model.stages.deliver();
  });
  return collected;
}

}  // namespace anchorage::worker
