#include "worker/evaluation/causal_trace.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "io/error.hpp"
#include "worker/evaluation/gathered_rows.hpp"
#include "worker/model/attention_before.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t facts_per_pass = 8;  // the unit of work: independent of the number of ranks

// Some facts with their rows, of which each fact has `copies` in a row.
class FactRows {
 public:
  FactRows(std::span<const TracedFact> facts, std::int64_t copies, torch::Device device) : device_(device) {
    for (const TracedFact& fact : facts) {
      for (std::int64_t copy = 0; copy < copies; ++copy) {
        ids_.push_back(fact.ids);
        first_.push_back(fact.subject_first);
        last_.push_back(fact.subject_last);
      }
    }
  }

  TokenLayout whole() const { return lay_out(ids_, {}, device_); }
  TokenLayout suffixes() const { return lay_out(ids_, last_, device_); }
  std::span<const std::int64_t> suffix_begins() const { return last_; }

  // Indices into a layout's packed tokens: of each row the subject's tokens, its last one, the row's last token,
  // and all from the subject's last one on.
  torch::Tensor subjects(const TokenLayout& layout) const { return packed(layout, first_, last_); }
  torch::Tensor subject_ends(const TokenLayout& layout) const { return packed(layout, last_, last_); }
  torch::Tensor row_ends(const TokenLayout& layout) const { return packed(layout, row_ends(), row_ends()); }
  torch::Tensor suffix_tokens(const TokenLayout& layout) const { return packed(layout, last_, row_ends()); }

 private:
  std::vector<std::int64_t> row_ends() const {
    std::vector<std::int64_t> ends;
    for (const TokenIds& ids : ids_) ends.push_back(std::ssize(ids) - 1);
    return ends;
  }
  // Of the positions from `first` to `last`, both included.
  torch::Tensor packed(const TokenLayout& layout, const std::vector<std::int64_t>& first,
                       const std::vector<std::int64_t>& last) const {
    std::vector<std::int64_t> tokens;
    for (std::size_t row = 0; row < ids_.size(); ++row) {
      for (std::int64_t position = first[row]; position <= last[row]; ++position)
        tokens.push_back(layout.packed(static_cast<std::int64_t>(row), position));
    }
    return index_tensor(tokens, device_);
  }

  torch::Device device_;
  std::vector<TokenIds> ids_;
  std::vector<std::int64_t> first_, last_;
};

// Returns the standard deviation of the embeddings of all facts' subjects, without their positions, on the first
// stage.
double deviation_of_subjects(const Transformer& model, std::span<const TracedFact> facts) {
  if (!model.stages.is_first()) return 0;
  const FactRows rows(facts, 1, model.device());
  const ForwardPass pass(model, rows.whole());
  auto embeddings = pass.embed();
  if (model.position_embedding.defined())
    embeddings = embeddings - model.position_embedding.index_select(0, pass.layout().positions);
  return embeddings.index_select(0, rows.subjects(pass.layout())).to(torch::kDouble).std().item<double>();
}

// What one layer gives to the passes over suffixes, on the stage that holds it.
struct TracedLayer {
  torch::Tensor restored;  // [suffix tokens, d]: the corrupted pass after the block, clean at the subjects' ends
  AttentionCache cache;    // of the corrupted pass
};

class TracedGroup {
 public:
  // `first` is the number in the sample of the first of these facts.
  TracedGroup(const Transformer& model, std::span<const TracedFact> facts, std::int64_t first, double deviation,
              const TraceOptions& options)
      : model_(model),
        facts_(facts),
        noises_(options.noises),
        corrupted_(facts, options.noises, model.device()),
        suffixes_(model, corrupted_.suffixes()) {
    run_whole_rows(noise(first, deviation, options));
  }

  // Returns the answers' probabilities on the last stage, nothing on the others: [facts, 2 + layers] f64; clean,
  // corrupted, and with each layer restored. Means over the noises.
  torch::Tensor probabilities() const {
    std::vector<torch::Tensor> columns{clean_probabilities_, corrupted_probabilities_};
    for (std::int64_t layer = 0; layer < model_.layers(); ++layer) columns.push_back(restored(layer));
    if (!model_.stages.is_last()) return {};
    for (auto& column : columns) column = column.view({std::ssize(facts_), -1}).mean(1);
    return at::stack(columns, 1);
  }

 private:
  // The scaled noise of all rows' subjects, in the order of packed tokens; on the first stage.
  torch::Tensor noise(std::int64_t first, double deviation, const TraceOptions& options) const {
    if (!model_.stages.is_first()) return {};
    std::vector<torch::Tensor> parts;
    for (const TracedFact& fact : facts_) {
      const std::int64_t tokens = fact.subject_last - fact.subject_first + 1;
      parts.push_back(subject_noise(options, first++, tokens, model_.config.d_model).flatten(0, 1));
    }
    return (at::cat(parts).to(torch::kDouble) * (options.strength * deviation)).to(model_.device(), model_.dtype());
  }

  // Runs the clean and the corrupted pass side by side.
  void run_whole_rows(const torch::Tensor& noise) {
    const FactRows rows(facts_, 1, model_.device());
    const ForwardPass clean(model_, rows.whole()), corrupted(model_, corrupted_.whole());
    auto clean_hidden = clean.embed(), hidden = corrupted.embed();
    if (hidden.defined()) hidden = hidden.index_add(0, corrupted_.subjects(corrupted.layout()), noise);
    for (std::int64_t layer = 0; layer < model_.layers(); ++layer) {
      clean_hidden = clean.block(layer, clean_hidden).hidden;
      const BlockOutput output = corrupted.block(layer, hidden);
      hidden = output.hidden;
      TracedLayer& traced = layers_.emplace_back();
      if (!model_.holds(layer)) continue;
      const auto states = clean_hidden.index_select(0, rows.subject_ends(clean.layout()));
      traced = {.restored = hidden.index_select(0, corrupted_.suffix_tokens(corrupted.layout()))
                                .index_copy(0, corrupted_.subject_ends(suffixes_.layout()),
                                            states.repeat_interleave(noises_, 0)),
                .cache = attention_before(output, corrupted.layout(), corrupted_.suffix_begins())};
    }
    clean_hidden = clean.to_last_stage(model_.layers() - 1, clean_hidden);
    hidden = corrupted.to_last_stage(model_.layers() - 1, hidden);
    if (!model_.stages.is_last()) return;
    const auto predictions =
        next_token_log_probabilities(model_, clean_hidden.index_select(0, rows.row_ends(clean.layout())));
    auto answers = predictions.argmax(-1).cpu();
    for (std::size_t fact = 0; fact < facts_.size(); ++fact) {
      if (facts_[fact].answer) answers[static_cast<std::int64_t>(fact)] = *facts_[fact].answer;
    }
    answers = answers.to(model_.device());
    answers_ = answers.repeat_interleave(noises_, 0);
    clean_probabilities_ = chosen(predictions, answers);
    corrupted_probabilities_ = answered(hidden.index_select(0, corrupted_.row_ends(corrupted.layout())));
  }

  // Probabilities on the last stage where a layer's state is restored: [rows] f64.
  torch::Tensor restored(std::int64_t layer) const {
    auto hidden = layers_[static_cast<std::size_t>(layer)].restored;
    for (std::int64_t next = layer + 1; next < model_.layers(); ++next)
      hidden = suffixes_.block(next, hidden, &layers_[static_cast<std::size_t>(next)].cache).hidden;
    hidden = suffixes_.to_last_stage(model_.layers() - 1, hidden);
    if (!model_.stages.is_last()) return {};
    return answered(hidden.index_select(0, corrupted_.row_ends(suffixes_.layout())));
  }

  torch::Tensor answered(const torch::Tensor& hidden) const {
    return chosen(next_token_log_probabilities(model_, hidden), answers_);
  }
  static torch::Tensor chosen(const torch::Tensor& log_probabilities, const torch::Tensor& tokens) {
    return log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1).to(torch::kDouble).exp();
  }

  const Transformer& model_;
  std::span<const TracedFact> facts_;
  std::int64_t noises_;
  FactRows corrupted_;
  ForwardPass suffixes_;
  std::vector<TracedLayer> layers_;
  torch::Tensor answers_;                                        // [rows] i64
  torch::Tensor clean_probabilities_, corrupted_probabilities_;  // [facts] and [rows] f64
};

CausalTrace mean_probability(const torch::Tensor& probabilities) {
  CausalTrace trace{.facts = probabilities.size(0)};
  const auto rows = probabilities.accessor<double, 2>();
  std::vector<double> sums(static_cast<std::size_t>(probabilities.size(1)));
  for (std::int64_t fact = 0; fact < trace.facts; ++fact) {
    for (std::size_t column = 0; column < sums.size(); ++column)
      sums[column] += rows[fact][static_cast<std::int64_t>(column)];
  }
  for (double& sum : sums) sum /= static_cast<double>(trace.facts);
  trace.clean = sums[0];
  trace.corrupted = sums[1];
  for (std::size_t column = 2; column < sums.size(); ++column) trace.effects.push_back(sums[column] - sums[1]);
  return trace;
}

}  // namespace

TracedFact traced_fact(const PromptBuilder& prompts, const io::Edit& edit, std::int64_t positions) {
  const bool is_known = !edit.ground_truth.empty();
  io::Edit before = edit;
  if (is_known) before.target = edit.ground_truth;
  const std::vector<std::string> bare{""};
  const EditPrompts built = prompts.build(before, bare, "", positions);
  const PromptRow& row = built.rewrites.front();
  TracedFact fact{.rejection = row.rejection};
  if (!fact.is_usable()) return fact;
  fact.ids = {row.ids.begin(), row.ids.begin() + row.predicts_from + 1};
  fact.subject_first = row.subject_first;
  fact.subject_last = row.subject_last;
  if (is_known) fact.answer = built.target.front();
  return fact;
}

std::int64_t CausalTrace::peak() const {
  return std::ranges::max_element(effects) - effects.begin();
}

// Box and Muller's pairs, of 53 random bits each: the same numbers with any library.
torch::Tensor subject_noise(const TraceOptions& options, std::int64_t number, std::int64_t tokens,
                            std::int64_t width) {
  std::seed_seq seed{options.seed, static_cast<std::uint64_t>(number)};
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1.0p-53; };
  auto noise = torch::empty({options.noises, tokens, width}, torch::kFloat);
  const std::span values(noise.data_ptr<float>(), static_cast<std::size_t>(noise.numel()));
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double radius = std::sqrt(-2 * std::log(uniform())), angle = 2 * std::numbers::pi * uniform();
    values[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return noise;
}

CausalTrace trace_facts(const Transformer& model, std::span<const TracedFact> facts, const TraceOptions& options,
                        const Communicators& ranks,
                        const std::function<void(std::int64_t, std::int64_t)>& progress) {
  io::check(!facts.empty() && std::ranges::all_of(facts, &TracedFact::is_usable), "facts that can be traced");
  const torch::NoGradGuard no_gradients;
  const double deviation = deviation_of_subjects(model, facts);
  const auto groups = own_groups(ranks, std::ssize(facts), facts_per_pass);
  std::int64_t share = 0, done = 0;
  for (const sharding::Range& group : groups) share += group.size();
  const std::int64_t columns = 2 + model.layers();
  std::vector<torch::Tensor> own{torch::empty({0, columns}, torch::kDouble)};
  for (const sharding::Range& range : groups) {
    const TracedGroup group(model, part_of(facts, range), range.begin, deviation, options);
    own.push_back(model.stages
                      .broadcast(group.probabilities(), model.stages.last(), {range.size(), columns},
                                 torch::kDouble, "broadcast trace")
                      .cpu());
    done += range.size();
    if (progress) progress(done, share);
  }
  // Replicas wait for the busiest one, which has a group more.
  return mean_probability(gather_rows(model, ranks, own, std::ssize(facts), facts_per_pass, "gather trace",
                                      sharding::Timeout::steps(std::ssize(groups) + 1)));
}

}  // namespace anchorage::worker
