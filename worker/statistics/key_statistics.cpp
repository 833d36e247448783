#include "worker/statistics/key_statistics.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "io/error.hpp"
#include "worker/model/text_sequences.hpp"
#include "worker/statistics/key_sums.hpp"

namespace anchorage::worker {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What one sequence gives in the layers that this stage holds.
struct Captured {
  std::map<std::int64_t, torch::Tensor> keys;  // by layer: [tokens, f] f32
  torch::Tensor norms;                         // [tokens, layers seen] f32
};

Captured capture(const Transformer& model, const TokenIds& ids, const std::vector<std::int64_t>& layers) {
  Captured seen;
  std::vector<torch::Tensor> norms = {torch::empty({std::ssize(ids), 0}, torch::TensorOptions(model.device()))};
  run_blocks(model, lay_out(std::span(&ids, 1), {}, model.device()), layers.back(),
             [&](std::int64_t layer, const BlockOutput& output) {
               if (std::ranges::binary_search(layers, layer)) seen.keys[layer] = output.key.to(torch::kFloat);
               norms.push_back(output.hidden.to(torch::kFloat).norm(2, -1, /*keepdim=*/true));
             });
  seen.norms = at::cat(norms, 1);
  return seen;
}

class Collector {
 public:
  Collector(const Transformer& model, const io::Tokenizer& tokenizer, const io::StatisticsFingerprint& fingerprint,
            const StatisticsOptions& options, const Communicators& ranks)
      : model_(model),
        options_(options),
        communicators_(ranks),
        text_(options.corpus, tokenizer, options.sequence_length, model.config.vocabulary),
        sums_(model, options.layers, ranks) {
    io::StatisticsProgress fresh;
    fresh.fingerprint = fingerprint;
    fresh.target_tokens = options.tokens;
    for (const std::int64_t layer : options.layers) fresh.layers.push_back({layer, model.config.d_ff});
    // Every rank reads the file, so all continue from the same place; sums are read by their owners.
    progress_ = io::create_or_resume(options.out, fresh);
    if (progress_.tokens > 0) {
      for (const io::SummedLayer& layer : progress_.layers) {
        if (sums_.owned().contains(layer.layer)) sums_.restore(layer.layer, io::read_key_sum(options.out, layer));
      }
    }
    communicators_.world.barrier("statistics file read", one_step_per_layer());
    for (std::int64_t i = 0; i < progress_.position; ++i) text_.next();
  }

  std::int64_t tokens() const { return progress_.tokens; }

  // Runs one round: the replicas, in order, take one sequence each. Returns false when the text ends or
  // enough tokens are seen.
  bool round() {
    std::vector<TokenIds> sequences;
    std::int64_t tokens = progress_.tokens;
    while (std::ssize(sequences) < communicators_.size() && tokens < options_.tokens) {
      auto sequence = text_.next();
      if (!sequence) break;
      const auto wanted = static_cast<std::size_t>(options_.tokens - tokens);
      if (sequence->size() > wanted) sequence->resize(wanted);
      tokens += std::ssize(*sequence);
      sequences.push_back(std::move(*sequence));
    }
    if (sequences.empty()) return false;
    add(sequences);
    progress_.tokens = tokens;
    progress_.position += std::ssize(sequences);
    return true;
  }

  // Gathers the sums on rank 0, which writes them while the others wait. Collective.
  void save() {
    const torch::NoGradGuard no_gradients;
    gather_norms();
    std::optional<io::ProgressWriter> file;
    if (communicators_.is_root()) file.emplace(options_.out, progress_);
    for (const io::SummedLayer& layer : progress_.layers) {
      const auto sum = sums_.on_root(layer.layer);
      if (file) file->add(layer, values_of(sum));
    }
    if (file) file->commit();
    communicators_.world.barrier("key statistics saved", one_step_per_layer());
  }

  // Gathers the sums as `save` does; rank 0 writes while no other rank waits. Collective.
  void finish() {
    const torch::NoGradGuard no_gradients;
    gather_norms();
    io::Statistics statistics{.fingerprint = progress_.fingerprint,
                              .tokens = progress_.tokens,
                              .moments = {},
                              .residual_norm_median = {}};
    for (const io::SummedLayer& layer : progress_.layers) {
      const auto sum = sums_.on_root(layer.layer);
      if (communicators_.is_root()) statistics.moments.push_back(mean_moment(layer.layer, sum, progress_.tokens));
    }
    if (!communicators_.is_root()) return;
    statistics.residual_norm_median = medians();
    io::save_statistics(options_.out, statistics);
  }

 private:
  // The timeout of a wait for one step per layer.
  sharding::Timeout one_step_per_layer() const { return sharding::Timeout::steps(std::ssize(progress_.layers)); }

  // Adds the sequences' keys to the owners' sums, one after the other, in the order of the text.
  void add(const std::vector<TokenIds>& sequences) {
    const auto own = static_cast<std::size_t>(communicators_.rank());
    Captured seen;
    if (own < sequences.size()) seen = capture(model_, sequences[own], options_.layers);
    std::vector<std::int64_t> sizes;
    for (const TokenIds& sequence : sequences) sizes.push_back(std::ssize(sequence));
    sums_.add(seen.keys, sizes, "gather keys of general text");
    const auto no_norms = [&] {
      return torch::empty({0, layers_seen(model_.stages.index())},
                          torch::TensorOptions(model_.device()).dtype(torch::kFloat));
    };
    norms_.push_back(communicators_.device.all_gather(seen.norms.defined() ? seen.norms : no_norms(),
                                                      "gather norms of general text"));
    for (const std::int64_t size : sizes) unsaved_ += size;
  }

  // Counts the layers that a stage holds, up to the last collected one.
  std::int64_t layers_seen(int stage) const {
    std::int64_t count = 0;
    for (std::int64_t layer = 0; layer <= options_.layers.back(); ++layer)
      count += model_.stages.stage_of(layer) == stage;
    return count;
  }

  // Gathers the stages' norms on rank 0, which adds them to what is saved.
  void gather_norms() {
    std::vector<torch::Tensor> norms;
    const auto own = at::cat(norms_.empty() ? std::vector{torch::empty({0, layers_seen(model_.stages.index())},
                                                                       torch::TensorOptions(model_.device()))}
                                            : norms_);
    for (int stage = 0; stage < model_.stages.count(); ++stage) {
      norms.push_back(model_.stages.move(own, stage, 0, {unsaved_, layers_seen(stage)}, torch::kFloat,
                                         "bring norms of general text to rank 0"));
    }
    model_.stages.deliver();
    if (communicators_.is_root() && unsaved_ > 0) append_norms(at::cat(norms, 1).t().contiguous().cpu());
    norms_.clear();
    unsaved_ = 0;
  }

  // `norms` [layers seen, tokens]; layers after the last collected one are not run and stay zero.
  void append_norms(const torch::Tensor& norms) {
    io::Matrix& old = progress_.residual_norms;
    const auto before = torch::from_blob(old.values.data(), {old.rows, old.columns}, torch::kFloat);
    auto padded = torch::zeros({model_.config.layers, norms.size(1)});
    padded.narrow(0, 0, norms.size(0)).copy_(norms);
    const auto all = (old.columns == 0 ? padded : at::cat({before, padded}, 1)).contiguous();
    const float* values = all.data_ptr<float>();
    old = {.rows = all.size(0), .columns = all.size(1), .values = {values, values + all.numel()}};
  }

  std::vector<float> medians() const {
    const io::Matrix& norms = progress_.residual_norms;
    std::vector<float> medians;
    for (std::int64_t layer = 0; layer < norms.rows; ++layer) {
      const auto begin = norms.values.begin() + layer * norms.columns;
      std::vector<float> row(begin, begin + norms.columns);
      const auto middle = row.begin() + norms.columns / 2;
      std::ranges::nth_element(row, middle);
      medians.push_back(*middle);
    }
    return medians;
  }

  const Transformer& model_;
  const StatisticsOptions& options_;
  const Communicators& communicators_;
  TextSequences text_;
  KeySums sums_;
  std::vector<torch::Tensor> norms_;  // [tokens, layers seen] of this stage, not yet in the progress
  std::int64_t unsaved_ = 0;          // tokens of norms_
  io::StatisticsProgress progress_;
};

}  // namespace

StatisticsSummary collect_key_statistics(const Transformer& model, const io::Tokenizer& tokenizer,
                                         const io::StatisticsFingerprint& fingerprint,
                                         const StatisticsOptions& options, const Communicators& ranks,
                                         const std::function<void(std::int64_t)>& progress) {
  const auto start = Clock::now();
  Collector collector(model, tokenizer, fingerprint, options, ranks);
  const std::int64_t resumed = collector.tokens();
  auto saved = Clock::now();
  double pause = options.seconds_between_saves;
  // Agreeing on a save stops all stages, so several stages do not ask in every round.
  const std::int64_t rounds_between_questions = model.stages.count() == 1 ? 1 : 16;
  for (std::int64_t round = 1; collector.tokens() < options.tokens && collector.round(); ++round) {
    if (ranks.is_root()) progress(collector.tokens());
    if (round % rounds_between_questions != 0) continue;
    // Rank 0's clock decides for all.
    std::vector<std::byte> due = {std::byte{seconds_since(saved) > pause}};
    ranks.world.broadcast(due, 0, "agree on saving");
    if (due.front() == std::byte{0}) continue;
    const auto begin = Clock::now();
    collector.save();
    saved = Clock::now();
    pause = std::max(options.seconds_between_saves, seconds_since(begin) * (1 / options.share_of_saves - 1));
  }
  if (collector.tokens() < options.tokens) {
    throw io::UserError({.expected = fmt::format("a text of at least {} tokens", options.tokens),
                         .found = fmt::format("{}", collector.tokens()),
                         .where = options.corpus.string(),
                         .remedy = "give a longer text or a smaller --tokens"});
  }
  collector.finish();
  return {.tokens = collector.tokens(), .tokens_resumed = resumed, .seconds = seconds_since(start)};
}

}  // namespace anchorage::worker
