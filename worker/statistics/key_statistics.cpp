#include "worker/statistics/key_statistics.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "io/error.hpp"
#include "sharding/layer_owners.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/text_sequences.hpp"

namespace anchorage::worker {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What one sequence gives.
struct Observation {
  std::map<std::int64_t, torch::Tensor> keys;  // by layer: [tokens, f] f32
  torch::Tensor norms;                         // [tokens, layers seen] f32
};

Observation observe(const Transformer& model, const TokenIds& ids, const std::vector<std::int64_t>& layers) {
  const torch::NoGradGuard no_gradients;
  const ForwardPass pass(model, lay_out(std::span(&ids, 1), {}, model.device()));
  Observation seen;
  std::vector<torch::Tensor> norms;
  auto hidden = pass.embed();
  for (std::int64_t layer = 0; layer <= layers.back(); ++layer) {
    const BlockOutput output = pass.block(layer, hidden);
    if (std::ranges::binary_search(layers, layer)) seen.keys[layer] = output.key.to(torch::kFloat);
    hidden = output.hidden;
    norms.push_back(hidden.to(torch::kFloat).norm(2, -1));
  }
  seen.norms = at::stack(norms, 1);
  return seen;
}

class Collector {
 public:
  Collector(const Transformer& model, const io::Tokenizer& tokenizer, const io::StatisticsFingerprint& fingerprint,
            const StatisticsOptions& options, const Ranks& ranks)
      : model_(model), options_(options), ranks_(ranks), text_(options.corpus, tokenizer, options.sequence_length) {
    const std::vector<std::int64_t> equal_costs(options.layers.size(), 1);
    const auto owners = sharding::layer_owners(equal_costs, ranks_.size());
    io::StatisticsProgress fresh;
    fresh.fingerprint = fingerprint;
    fresh.target_tokens = options.tokens;
    for (std::size_t i = 0; i < options.layers.size(); ++i) {
      owners_[options.layers[i]] = owners[i];
      const auto size = static_cast<std::size_t>(model.config.d_ff);
      fresh.sums.push_back({options.layers[i], model.config.d_ff, std::vector<double>(size * size, 0.0)});
    }
    // Every rank reads the file, so all go on from the same place.
    progress_ = io::create_or_resume(options.out, fresh);
    ranks_.host.barrier("statistics file read");
    progress_.target_tokens = options.tokens;
    for (io::KeySum& sum : progress_.sums) {
      if (owners_.at(sum.layer) != ranks_.rank()) continue;
      sums_[sum.layer] = torch::from_blob(sum.sum.data(), {sum.size, sum.size}, torch::kDouble)
                             .to(model.device(), torch::kDouble, false, true);
    }
    for (std::int64_t i = 0; i < progress_.position; ++i) text_.next();
  }

  std::int64_t tokens() const { return progress_.tokens; }

  // One round: every rank takes the next sequence but one a rank before it. False when the text ends or enough is
  // seen.
  bool round() {
    std::vector<TokenIds> sequences;
    std::int64_t tokens = progress_.tokens;
    while (std::ssize(sequences) < ranks_.size() && tokens < options_.tokens) {
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

  // Collective: brings the sums to rank 0, which writes them.
  void save() {
    gather_sums();
    if (ranks_.rank() == 0) io::save_progress(options_.out, progress_);
  }

  void finish() {
    gather_sums();
    if (ranks_.rank() != 0) return;
    io::Statistics statistics{.fingerprint = progress_.fingerprint,
                              .tokens = progress_.tokens,
                              .moments = {},
                              .residual_norm_median = medians()};
    for (const io::KeySum& sum : progress_.sums) {
      io::SecondMoment moment{.layer = sum.layer, .moment = {.rows = sum.size, .columns = sum.size, .values = {}}};
      for (const double value : sum.sum) {
        moment.moment.values.push_back(static_cast<float>(value / static_cast<double>(progress_.tokens)));
      }
      statistics.moments.push_back(std::move(moment));
    }
    io::save_statistics(options_.out, statistics);
  }

 private:
  // Owners add the sequences' keys one after the other, in the order of the text.
  void add(const std::vector<TokenIds>& sequences) {
    const auto own = static_cast<std::size_t>(ranks_.rank());
    Observation seen;
    if (own < sequences.size()) seen = observe(model_, sequences[own], options_.layers);
    const auto nothing = [&](std::int64_t width) {
      return torch::empty({0, width}, torch::TensorOptions(model_.device()).dtype(torch::kFloat));
    };
    for (const std::int64_t layer : options_.layers) {
      const auto keys = seen.keys.contains(layer) ? seen.keys.at(layer) : nothing(model_.config.d_ff);
      const auto all = ranks_.device.all_gather(keys, "gather keys of general text");
      if (!sums_.contains(layer)) continue;
      std::int64_t begin = 0;
      for (const TokenIds& sequence : sequences) {
        const auto part = all.narrow(0, begin, std::ssize(sequence)).to(torch::kDouble);
        sums_.at(layer).addmm_(part.t(), part);
        begin += std::ssize(sequence);
      }
    }
    const auto norms = ranks_.device.all_gather(
        seen.norms.defined() ? seen.norms : nothing(options_.layers.back() + 1), "gather norms of general text");
    if (ranks_.rank() == 0) append_norms(norms.t().contiguous().cpu());
  }

  // `norms` [layers seen, tokens]; layers behind the last edited one are not looked at and stay zero.
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

  void gather_sums() {
    for (io::KeySum& sum : progress_.sums) {
      auto whole =
          sums_.contains(sum.layer)
              ? sums_.at(sum.layer)
              : torch::empty({sum.size, sum.size}, torch::TensorOptions(model_.device()).dtype(torch::kDouble));
      ranks_.device.broadcast(whole, owners_.at(sum.layer), "bring key statistics to rank 0");
      if (ranks_.rank() != 0) continue;
      const auto on_host = whole.cpu().contiguous();
      std::copy_n(on_host.data_ptr<double>(), on_host.numel(), sum.sum.begin());
    }
  }

  const Transformer& model_;
  const StatisticsOptions& options_;
  const Ranks& ranks_;
  TextSequences text_;
  std::map<std::int64_t, int> owners_;
  std::map<std::int64_t, torch::Tensor> sums_;  // [f, f] f64, of the layers that this rank owns
  io::StatisticsProgress progress_;
};

}  // namespace

StatisticsSummary collect_key_statistics(const Transformer& model, const io::Tokenizer& tokenizer,
                                         const io::StatisticsFingerprint& fingerprint,
                                         const StatisticsOptions& options, const Ranks& ranks,
                                         const std::function<void(std::int64_t)>& progress) {
  const auto start = Clock::now();
  Collector collector(model, tokenizer, fingerprint, options, ranks);
  const std::int64_t resumed = collector.tokens();
  auto saved = Clock::now();
  while (collector.tokens() < options.tokens && collector.round()) {
    if (ranks.rank() == 0) progress(collector.tokens());
    // Rank 0's clock decides for all.
    auto due = torch::tensor({seconds_since(saved) > options.seconds_between_saves ? 1 : 0}, torch::kInt64)
                   .to(model.device());
    ranks.device.broadcast(due, 0, "agree on saving");
    if (due.item<std::int64_t>() == 0) continue;
    collector.save();
    saved = Clock::now();
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
