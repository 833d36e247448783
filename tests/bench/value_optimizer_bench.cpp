// Measures seconds per edit of the value optimizer (a group of edits at once, suffixes only), and of the same
// optimizer run one edit at a time over whole sequences and all layers, as other tools do. Both run on the
// same edits. Then measures the group size that the engine itself takes on this kind of machine, also with a
// vector in each of up to five layers, as B-EAC injects them. All steps are taken: no edit stops early.
//
//   value_optimizer_bench MODEL EDITS [edits = 16] [steps = 20] [contexts = 4] [threads = all]
//
// An edit has a rewriting prompt a context, and one more for the KL term. Prints times, caches and all, and how far
// the values lie apart; asserts nothing.

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>
#include <chrono>
#include <cstdio>
#include <string>

#include "io/edits/reader.hpp"
#include "sharding/edit_groups.hpp"
#include "worker/editing/values/context_prefixes.hpp"
#include "worker/editing/values/value_optimizer.hpp"
#include "worker/model/load.hpp"

namespace anchorage::worker {
namespace {

// The objective of one edit over whole rows, with `delta` [d] added after block `layer`.
torch::Tensor objective(const Transformer& model, const EditPrompts& edit, std::int64_t layer,
                        const torch::Tensor& delta, const torch::Tensor& kl_before, double norm,
                        const io::Hparams& hparams) {
  std::vector<TokenIds> rows;
  for (const PromptRow& row : edit.rewrites) rows.push_back(row.ids);
  rows.push_back(edit.kl_prompt.ids);
  const ForwardPass pass(model, lay_out(rows, {}, model.device()));
  std::vector<std::int64_t> subjects, predicting, targets;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const PromptRow& row = r < edit.rewrites.size() ? edit.rewrites[r] : edit.kl_prompt;
    subjects.push_back(pass.layout().packed(static_cast<std::int64_t>(r), row.subject_last));
    if (r == edit.rewrites.size()) break;
    for (std::size_t t = 0; t < edit.target.size(); ++t) {
      predicting.push_back(
          pass.layout().packed(static_cast<std::int64_t>(r), row.predicts_from + static_cast<std::int64_t>(t)));
      targets.push_back(edit.target[t]);
    }
  }
  predicting.push_back(pass.layout().packed(std::ssize(rows) - 1, edit.kl_prompt.predicts_from));
  auto hidden = pass.blocks(0, layer + 1, pass.embed());
  hidden = hidden.index_add(0, torch::tensor(subjects), delta.unsqueeze(0).expand({std::ssize(subjects), -1}));
  hidden = pass.blocks(layer + 1, model.layers(), hidden);
  const auto log_probabilities =
      next_token_log_probabilities(model, hidden.index_select(0, torch::tensor(predicting)));
  const auto of_targets =
      log_probabilities.narrow(0, 0, std::ssize(targets)).gather(1, torch::tensor(targets).unsqueeze(1));
  const auto kl_prompt = log_probabilities[-1];
  auto value = -of_targets.mean();
  if (kl_before.defined()) value = value + hparams.kl_factor * (kl_before.exp() * (kl_before - kl_prompt)).sum();
  return value + hparams.v_weight_decay * (delta.square().sum() + 1e-24).sqrt() / (norm * norm);
}

torch::Tensor one_at_a_time(const Transformer& model, const EditPrompts& edit, const io::Hparams& hparams) {
  const std::int64_t layer = hparams.layers.back();
  auto delta = torch::zeros({model.config.d_model});
  torch::Tensor kl_before;
  double norm = 0;
  {
    const torch::NoGradGuard no_gradients;
    InjectedForward group(model, {edit}, {.layers = {layer}, .loss_layer = model.layers() - 1});
    group.fill();
    norm = group.norms().item<double>();
    const ForwardPass pass(model, lay_out(std::span(&edit.kl_prompt.ids, 1), {}, model.device()));
    const auto hidden = pass.blocks(0, model.layers(), pass.embed());
    kl_before = next_token_log_probabilities(model, hidden)[edit.kl_prompt.predicts_from];
  }
  auto first = torch::zeros_like(delta), second = torch::zeros_like(delta);
  for (int step = 1;; ++step) {
    auto point = delta.clone().requires_grad_(true);
    const auto value = objective(model, edit, layer, point, kl_before, norm, hparams);
    if (value.item<double>() < hparams.early_stop_loss || step == hparams.v_num_grad_steps) return delta;
    const auto gradient = torch::autograd::grad({value}, {point}).front();
    first = 0.9 * first + 0.1 * gradient;
    second = 0.999 * second + 0.001 * gradient.square();
    delta = delta - hparams.v_lr * (first / (1 - std::pow(0.9, step))) /
                        ((second / (1 - std::pow(0.999, step))).sqrt() + 1e-8);
    delta = delta * std::min(1.0, hparams.clamp_norm_factor * norm / delta.norm().item<double>());
  }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Seconds per edit to find the values of all, in groups of `size`, with vectors after each of `layers`. `look` sees
// the values of each group and the number of its first edit.
template <class Look>
double seconds_in_groups(const Transformer& model, const std::vector<EditPrompts>& prompts, std::size_t size,
                         const std::vector<std::int64_t>& layers, const io::Hparams& hparams, const Look& look) {
  double seconds = 0;
  for (std::size_t begin = 0; begin < prompts.size(); begin += size) {
    const auto end = std::min(prompts.size(), begin + size);
    const auto start = std::chrono::steady_clock::now();
    std::vector<InjectedForward> groups;
    groups.emplace_back(model,
                        std::vector<EditPrompts>{prompts.begin() + static_cast<std::ptrdiff_t>(begin),
                                                 prompts.begin() + static_cast<std::ptrdiff_t>(end)},
                        InjectionOptions{.layers = layers, .loss_layer = model.layers() - 1});
    const auto values = optimize_values(std::move(groups), hparams).front();
    seconds += seconds_since(start);
    look(values, begin);
  }
  return seconds / static_cast<double>(prompts.size());
}

int run(int argc, char** argv) {
  const auto number = [&](int position, int otherwise) {
    return argc > position ? std::stoi(argv[position]) : otherwise;
  };
  const int count = number(3, 16), contexts = number(5, 4);
  if (const int threads = number(6, 0); threads > 0) torch::set_num_threads(threads);
  const auto directory = io::ModelDirectory::open(argv[1]);
  const auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  const Transformer model = load_transformer(directory);
  io::Hparams hparams;
  const int last = static_cast<int>(model.layers()) - 1;
  hparams.layers = {std::min(8, last - 1)};
  hparams.v_loss_layer = last;
  hparams.v_num_grad_steps = number(4, 20);
  hparams.early_stop_loss = 0;  // all steps, so that both do the same work

  auto prefixes = generate_context_prefixes(model, tokenizer, contexts - 1, hparams.context_length, 0);
  prefixes.insert(prefixes.begin(), "");
  auto edits = io::read_edits(argv[2]).edits;
  edits.resize(std::min<std::size_t>(edits.size(), static_cast<std::size_t>(count)));
  const PromptBuilder builder(tokenizer);
  std::vector<EditPrompts> prompts;
  for (const io::Edit& edit : edits) prompts.push_back(builder.build(edit, prefixes));

  const auto start = std::chrono::steady_clock::now();
  std::vector<torch::Tensor> slow;
  for (const EditPrompts& edit : prompts) slow.push_back(one_at_a_time(model, edit, hparams));
  const double slow_seconds = seconds_since(start) / static_cast<double>(prompts.size());
  std::printf("%zu edits, %d steps, %d prompts per edit and 1 for the KL term, %d threads; seconds per edit\n",
              prompts.size(), hparams.v_num_grad_steps, contexts, torch::get_num_threads());
  std::printf("  one at a time, whole sequences      %7.3f\n", slow_seconds);
  const std::int64_t layer = hparams.layers.front();
  const auto of_group = [&](std::size_t group, const char* remark) {
    double apart = 0;
    const double seconds = seconds_in_groups(
        model, prompts, group, {layer}, hparams, [&](const torch::Tensor& values, std::size_t begin) {
          for (std::int64_t i = 0; i < values.size(0); ++i) {
            const auto& alone = slow[begin + static_cast<std::size_t>(i)];
            apart = std::max(apart, ((values[i][0] - alone).norm() / alone.norm()).item<double>());
          }
        });
    std::printf(
        "  suffixes only, groups of %-2zu         %7.3f   %5.1f times as fast; values apart by %.1e at most%s\n",
        group, seconds, slow_seconds / seconds, apart, remark);
  };
  for (const std::size_t group : {1, 2, 4, 8, 16}) {
    if (group <= prompts.size()) of_group(group, "");
  }
  const auto own = static_cast<std::size_t>(sharding::edits_per_group(0, contexts, model.step_arithmetic()));
  of_group(own, "; the engine's choice");
  std::vector<std::int64_t> joint;
  for (std::int64_t each = std::max<std::int64_t>(0, layer - 4); each <= layer; ++each) joint.push_back(each);
  const double seconds =
      seconds_in_groups(model, prompts, own, joint, hparams, [](const torch::Tensor&, std::size_t) {});
  std::printf("  the same with vectors in %zu layers   %7.3f\n", joint.size(), seconds);
  return 0;
}

}  // namespace
}  // namespace anchorage::worker

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: value_optimizer_bench MODEL EDITS [edits] [steps] [contexts] [threads]\n");
    return 2;
  }
  return anchorage::worker::run(argc, argv);
}
