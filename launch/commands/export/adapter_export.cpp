#include "launch/commands/export/adapter_export.hpp"

#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "io/error.hpp"
#include "io/log.hpp"
#include "io/model/lora_adapter.hpp"
#include "launch/commands/export/read_back.hpp"
#include "launch/program/measured.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/editing/update/low_rank_change.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

using Changes = std::map<std::int64_t, worker::SingularFactors>;

// Takes the changes apart one layer after another, so that the updates of one are in memory at a time, and keeps of
// each the columns that an adapter may have.
Changes changes_of(const ExportedRun& run, std::int64_t most_columns) {
  Changes changes;
  for (const std::int64_t layer : run.updates.layers()) {
    worker::LowRankChange change;
    run.updates.for_each(
        [&](const io::RunUpdate& update) { change.add(worker::to_tensor(update.u), worker::to_tensor(update.v)); },
        [&](std::int64_t of) { return of == layer; });
    changes.emplace(layer, change.factors(most_columns));
  }
  return changes;
}

std::int64_t rank_of(const Changes& changes) {
  std::int64_t rank = 0;
  for (const auto& [layer, change] : changes) rank = std::max(rank, change.rank);
  return rank;
}

// The norm of what a rank leaves out, over the norm of all; 0 for a change that is nothing.
struct Loss {
  double squared_lost = 0, squared_norm = 0;

  void add(const worker::SingularFactors& change, std::int64_t rank) {
    squared_lost += rank < change.rank ? std::pow(change.norm_beyond(rank), 2) : 0.0;
    squared_norm += std::pow(change.norm(), 2);
  }
  double share() const { return squared_norm > 0 ? std::sqrt(squared_lost / squared_norm) : 0.0; }
};

double share_lost(const Changes& changes, std::int64_t rank) {
  Loss loss;
  for (const auto& [layer, change] : changes) loss.add(change, rank);
  return loss.share();
}

std::int64_t chosen_rank(const Changes& changes, const AdapterOptions& options, const ExportedRun& run) {
  constexpr std::int64_t most = io::served_ranks.back();
  if (options.rank) {
    if (std::ranges::count(io::served_ranks, *options.rank) == 0) {
      spdlog::warn("rank {}: vLLM accepts {} alone; peft takes any", *options.rank,
                   fmt::join(io::served_ranks, ", "));
    }
    return *options.rank;
  }
  const std::int64_t needed = rank_of(changes);
  if (const auto rank = io::smallest_served_rank(needed)) return *rank;
  throw io::UserError(
      {.expected = fmt::format("a change of rank at most {}, the largest that vLLM accepts", most),
       .found = fmt::format("rank {}, of {} live edits", needed, run.edits.size()),
       .where = run.argument.run->string(),
       .remedy =
           fmt::format("leave out --format peft to export the whole model, or give --rank {}, which loses {:.3g} "
                       "of the change's norm",
                       most, share_lost(changes, most))});
}

io::LoraAdapter adapter_of(const Changes& changes, std::int64_t rank) {
  io::LoraAdapter adapter{.rank = rank, .layers = {}};
  for (const auto& [layer, change] : changes) {
    const auto product = change.product(rank);
    adapter.layers[layer] = {.b = worker::to_matrix(product.b), .a = worker::to_matrix(product.a)};
  }
  return adapter;
}

// The base's edited weights with the adapter's product added, by layer.
std::map<std::int64_t, torch::Tensor> adapted_weights(const io::ModelDirectory& base,
                                                      const io::LoraAdapter& adapter) {
  std::map<std::int64_t, torch::Tensor> weights;
  for (const auto& [layer, factors] : adapter.layers) {
    weights[layer] = worker::read_down_projection(base, layer);
    weights[layer].addmm_(worker::to_tensor(factors.b), worker::to_tensor(factors.a));
  }
  return weights;
}

// Reports the ranks and the share of the change's norm that the rank loses, of each layer and in all.
void report_ranks(ExportReport& report, const Changes& changes, std::int64_t rank) {
  auto layers = nlohmann::json::array();
  for (const auto& [layer, change] : changes) {
    Loss loss;
    loss.add(change, rank);
    layers.push_back({{"layer", layer}, {"rank", change.rank}, {"norm", change.norm()}, {"lost", loss.share()}});
    report.text +=
        fmt::format("  layer {}: a change of rank {}, {:.3g} of its norm lost\n", layer, change.rank, loss.share());
  }
  const double lost = share_lost(changes, rank);
  report.document.update({{"rank", rank}, {"layers", layers}, {"lost", lost}});
  report.text += fmt::format("  rank {} for all layers, {:.3g} of the change's norm lost in all\n", rank, lost);
}

void report_truncation(ExportReport& report, const Measures& own, const Measures& adapted, double lost) {
  const auto scores = [](const Measures& measures) {
    return nlohmann::json{{"matched", number_or_null(measures.matched())},
                          {"nll", number_or_null(measures.nll())},
                          {"held_out_loss", number_or_null(measures.loss())}};
  };
  report.document["truncated"] = {{"edits", own.edits.size()}, {"before", scores(own)}, {"after", scores(adapted)}};
  const std::string line = fmt::format(
      "of {} edits {:.4f} answer with their target before truncation, {:.4f} after it; {:.4f} and {:.4f} nats per "
      "token, over held-out sentences {:.4f} and {:.4f}",
      own.edits.size(), own.matched(), adapted.matched(), own.nll(), adapted.nll(), own.loss(), adapted.loss());
  report.text += line + "\n";
  report.card.push_back(fmt::format("Truncated: {:.3g} of the change's Frobenius norm is lost; {}.", lost, line));
}

}  // namespace

void write_adapter_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                          const AdapterOptions& options, const Session& session) {
  const torch::NoGradGuard no_gradients;
  const Changes changes = changes_of(run, options.rank.value_or(io::served_ranks.back()));
  if (changes.empty()) {
    throw io::UserError({.expected = "a run that changed weights",
                         .found = "none that is live",
                         .where = run.argument.run->string(),
                         .remedy = "the base model is what this run computes as"});
  }
  const std::int64_t rank = chosen_rank(changes, options, run);
  const io::LoraAdapter adapter = adapter_of(changes, rank);
  io::write_lora_adapter(run.base, directory, adapter);
  report_ranks(report, changes, rank);
  const bool truncated = rank < rank_of(changes);
  if (!truncated && !options.verify) return;

  const io::LoraAdapter read_back = io::read_lora_adapter(run.base, directory);
  const ReadBackOptions in_f32{.device = session.device(), .dtype = torch::kFloat};
  const Measures own = measure(run.base, rebuilt_weights(run.base, run.updates), run.edits, in_f32);
  const Measures found = measure(run.base, adapted_weights(run.base, read_back), run.edits, in_f32);
  if (truncated) report_truncation(report, own, found, share_lost(changes, rank));
  if (!options.verify) return;
  const Measures wanted =
      truncated ? measure(run.base, adapted_weights(run.base, adapter), run.edits, in_f32) : own;
  report_difference(report, difference_of(wanted, found), found);
}

}  // namespace anchorage::launch
