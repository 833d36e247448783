#include "worker/evaluation/text_loss.hpp"

#include "worker/evaluation/gathered_rows.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/text_sequences.hpp"

namespace anchorage::worker {

TextLoss loss_on_text(const Transformer& model, const io::Tokenizer& tokenizer, const std::filesystem::path& text,
                      std::int64_t sequence_length, const Communicators& ranks) {
  std::vector<TokenIds> sequences;
  TextSequences source(text, tokenizer, sequence_length, model.config.vocabulary);
  while (auto sequence = source.next()) sequences.push_back(std::move(*sequence));
  return loss_on_sequences(model, sequences, ranks);
}

TextLoss loss_on_sequences(const Transformer& model, std::span<const TokenIds> sequences,
                           const Communicators& ranks, std::int64_t of_pass) {
  TextLoss text;
  std::vector<Completion> possible;  // the same on every rank
  for (const TokenIds& ids : sequences) {
    if (ids.size() < 2) continue;
    Completion rest{.prompt = {ids.front()}, .completion = {ids.begin() + 1, ids.end()}};
    const auto diagnostic = scoring_obstacle(model, rest);
    if (!diagnostic) {
      possible.push_back(std::move(rest));
    } else if (text.left_out++ == 0) {
      text.rejection = io::UserError(*diagnostic).what();
    }
  }
  std::vector<torch::Tensor> own = {torch::empty({0, 2}, torch::kDouble)};
  std::vector<PendingScores> pending;
  for (const auto& share : own_groups(ranks, std::ssize(possible), of_pass))
    pending.emplace_back(model, part_of(std::span<const Completion>(possible), share));
  for (PendingScores& pass : pending) pass.finish();
  for (PendingScores& pass : pending) {
    for (const CompletionScore& score : pass.take()) {
      const auto predicted = static_cast<double>(score.argmax.size());
      own.push_back(torch::tensor({{score.mean_nll() * predicted, predicted}}, torch::kDouble));
    }
  }
  const auto sums = gather_rows(model, ranks, own, std::ssize(possible), of_pass, "gather text loss");
  double loss = 0;
  std::vector<double> losses, predicted;  // of each sequence
  for (std::int64_t i = 0; i < sums.size(0); ++i) {
    losses.push_back(sums[i][0].item<double>());
    predicted.push_back(sums[i][1].item<double>());
    loss += losses.back();
    text.tokens += sums[i][1].item<std::int64_t>();
  }
  text.loss_interval = bootstrap_ratio(losses, predicted);
  if (text.tokens > 0) text.loss = loss / static_cast<double>(text.tokens);
  return text;
}

}  // namespace anchorage::worker
