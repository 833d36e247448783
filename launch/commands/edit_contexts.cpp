#include "launch/commands/edit_contexts.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "launch/program/broadcast_text.hpp"
#include "worker/editing/values/context_prefixes.hpp"

namespace anchorage::launch {

worker::Contexts run_contexts(const OpenedModel& model, const coordinator::RunPlan& plan,
                              const io::RunDirectory* directory, Session& session) {
  const int generated = plan.hparams.contexts;  // with a spare, since the bare prompt counts as a context
  const bool kept = directory != nullptr && directory->has_contexts();
  std::vector<std::string> prefixes;
  if (!broadcast_text(kept ? "kept" : "", session.host(), "broadcast whether contexts are kept").empty()) {
    if (session.is_root()) {
      for (const io::Context& context : directory->read_contexts()) prefixes.push_back(context.text);
    }
  } else if (session.place().replica == 0) {
    prefixes = worker::generate_context_prefixes(model.transformer, model.tokenizer, generated,
                                                 plan.hparams.context_length,
                                                 static_cast<std::uint64_t>(plan.record.seed));
  }
  const std::string text = broadcast_text(nlohmann::json(prefixes).dump(), session.host(), "broadcast contexts");
  worker::Contexts contexts{.prefixes = {""}, .wanted = static_cast<std::size_t>(plan.hparams.contexts)};
  for (const std::string prefix : nlohmann::json::parse(text)) contexts.prefixes.push_back(prefix);
  return contexts;
}

std::vector<io::Context> recorded_contexts(const worker::Contexts& contexts, const io::Tokenizer& tokenizer) {
  std::vector<io::Context> recorded;
  // Without the first, the empty one of the bare prompt.
  for (const std::string& prefix : std::span(contexts.prefixes).subspan(1)) {
    const auto ids = tokenizer.encode(prefix);
    recorded.push_back({.text = prefix, .tokens = {ids.begin(), ids.end()}});
  }
  return recorded;
}

worker::SinkLimits sink_limits(const io::StatisticsFile& statistics, const io::Hparams& hparams) {
  const auto& medians = statistics.residual_norm_median();
  std::vector<float> limits;
  for (const int layer : hparams.layers) {
    const auto index = static_cast<std::size_t>(layer);
    const bool known = index < medians.size() && medians[index] > 0;
    limits.push_back(known ? static_cast<float>(hparams.sink_ratio) * medians[index]
                           : std::numeric_limits<float>::infinity());
  }
  return torch::tensor(limits);
}

}  // namespace anchorage::launch
