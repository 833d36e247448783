#include "worker/evaluation/score.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {
namespace {

// The rows of a pass without those that are there already: answers of one token differ in what is read alone.
class DistinctRows {
 public:
  // Returns the row's number.
  std::int64_t add(TokenIds row) {
    const auto [place, is_new] = numbers_.try_emplace(row, std::ssize(rows_));
    if (is_new) rows_.push_back(std::move(row));
    return place->second;
  }
  const std::vector<TokenIds>& rows() const { return rows_; }

 private:
  std::vector<TokenIds> rows_;
  std::map<TokenIds, std::int64_t> numbers_;
};

}  // namespace

std::optional<io::Diagnostic> scoring_obstacle(const Transformer& model, const Completion& completion) {
  if (completion.prompt.empty() || completion.completion.empty()) {
    return io::Diagnostic{.expected = "a prompt and a completion of at least one token each",
                          .found = fmt::format("{} and {}", completion.prompt.size(), completion.completion.size()),
                          .where = "",
                          .remedy = "the first token of a text has no prediction; give it as the prompt"};
  }
  for (const TokenIds* ids : {&completion.prompt, &completion.completion}) {
    const auto largest = std::ranges::max(*ids);
    if (largest >= model.config.vocabulary)
      return diagnostic_for_token(fmt::format("the id {}", largest), model.config.vocabulary, "");
  }
  const auto positions = std::ssize(completion.prompt) + std::ssize(completion.completion) - 1;
  if (positions <= model.config.max_positions) return std::nullopt;
  return io::Diagnostic{.expected = fmt::format("a prompt that takes at most the model's {} positions with its "
                                                "completion",
                                                model.config.max_positions),
                        .found = fmt::format("{}", positions),
                        .where = "",
                        .remedy = "shorten it"};
}

void require_scorable(const Transformer& model, const io::Tokenizer& tokenizer, const Completion& completion,
                      const std::string& where) {
  for (const TokenIds* ids : {&completion.prompt, &completion.completion})
    require_rows(*ids, tokenizer, model.config.vocabulary, where);
  if (auto diagnostic = scoring_obstacle(model, completion)) {
    diagnostic->where = where;
    throw io::UserError(*diagnostic);
  }
}

double CompletionScore::mean_nll() const {
  const double sum = std::accumulate(log_probabilities.begin(), log_probabilities.end(), 0.0);
  return -sum / static_cast<double>(log_probabilities.size());
}

bool CompletionScore::all_argmax() const {
  return !argmax.empty() && std::ranges::all_of(argmax, std::identity());
}

PendingScores::PendingScores(const Transformer& model, std::span<const Completion> completions) : model_(model) {
  if (completions.empty()) return;
  const torch::NoGradGuard no_gradients;
  DistinctRows rows;
  std::vector<std::int64_t> row_of;  // each completion's
  for (const Completion& completion : completions) {
    if (const auto diagnostic = scoring_obstacle(model, completion)) throw io::UserError(*diagnostic);
    TokenIds row = completion.prompt;
    row.insert(row.end(), completion.completion.begin(), completion.completion.end() - 1);
    row_of.push_back(rows.add(std::move(row)));
    lengths_.push_back(completion.completion.size());
  }
  pass_ = std::make_unique<const ForwardPass>(model, lay_out(rows.rows(), {}, model.device()));
  for (std::size_t i = 0; i < completions.size(); ++i) {
    for (std::size_t t = 0; t < completions[i].completion.size(); ++t) {
      const auto position = static_cast<std::int64_t>(completions[i].prompt.size() + t) - 1;
      predicting_.push_back(pass_->layout().packed(row_of[i], position));
      targets_.push_back(completions[i].completion[t]);
    }
  }
  hidden_ = pass_->begin_below(model.layers());
  if (model.stages.second_pass(model.layers()) == model.layers()) finish();
}

void PendingScores::finish() {
  if (!pass_) return;
  const torch::NoGradGuard no_gradients;
  const auto pass = std::exchange(pass_, nullptr);
  const auto hidden = pass->finish_below(model_.layers(), std::exchange(hidden_, {}));
  if (!model_.stages.is_last()) return;
  const auto index = torch::tensor(predicting_).to(model_.device());
  const auto target = torch::tensor(targets_).to(model_.device());
  const auto log_probabilities = next_token_log_probabilities(model_, hidden.index_select(0, index));
  chosen_ = log_probabilities.gather(1, target.unsqueeze(1)).squeeze(1).to(torch::kFloat);
  best_ = log_probabilities.argmax(-1).eq(target);
}

PendingScores PendingScores::where_possible(const Transformer& model, std::span<const Completion> completions) {
  std::vector<Completion> possible;
  std::vector<std::size_t> lengths;
  for (const Completion& completion : completions) {
    const bool can_be_scored = !scoring_obstacle(model, completion);
    lengths.push_back(can_be_scored ? completion.completion.size() : 0);
    if (can_be_scored) possible.push_back(completion);
  }
  PendingScores pending(model, possible);
  pending.lengths_ = std::move(lengths);
  return pending;
}

std::vector<CompletionScore> PendingScores::take() {
  finish();
  std::vector<CompletionScore> scores(lengths_.size());
  const auto predicted =
      static_cast<std::int64_t>(std::accumulate(lengths_.begin(), lengths_.end(), std::size_t{0}));
  if (predicted == 0) return scores;
  const auto on_all_stages = [&](const torch::Tensor& scored, torch::ScalarType dtype) {
    return model_.stages.broadcast(scored, model_.stages.last(), {predicted}, dtype, "broadcast scores").cpu();
  };
  const auto chosen = on_all_stages(chosen_, torch::kFloat), best = on_all_stages(best_, torch::kBool);
  std::int64_t token = 0;
  for (std::size_t row = 0; row < scores.size(); ++row) {
    for (std::size_t t = 0; t < lengths_[row]; ++t, ++token) {
      scores[row].log_probabilities.push_back(chosen.data_ptr<float>()[token]);
      scores[row].argmax.push_back(best.data_ptr<bool>()[token]);
    }
  }
  return scores;
}

std::vector<CompletionScore> score_completions(const Transformer& model, std::span<const Completion> completions) {
  return PendingScores(model, completions).take();
}

}  // namespace anchorage::worker
