// Measures the value optimizer: seconds per edit in groups (a group of edits at once, suffixes only), and of the
// same optimizer run one edit at a time over whole sequences and all layers, as other tools do. All run on the same
// edits, and take all steps: no edit stops early.
//
// For each group size, with blocks in the reference form and in the fused one (worker/kernels/forms.hpp), it says
// what bounds it, all measured in the same run: the operations that torch is asked for by one block in one step
// (torch's RecordFunction; the difference between a loss after the last block and one after the block before), the
// flops of the search's products, and the same products alone, without anything around them. Their seconds over the
// search's are the fraction of the limit that it reaches.
//
//   value_optimizer_bench MODEL EDITS [edits = 16] [steps = 20] [contexts = 4] [threads = all] [dtype = auto]
//                         [groups = 1,2,4,8,16] [layers = 1] [device = cpu]
//
// An edit has a rewriting prompt a context, and one more for the KL term. `layers`: in how many layers a vector is
// injected, 1 as MEMIT does and 5 as B-EAC. Without groups of one (groups = 16,32) nothing is run one at a time.
// Prints times, caches and all, and how far the values lie apart; asserts nothing. With `device` cuda, where
// nothing is run one at a time either, also the kernels that the GPU runs a step and the share of the search in
// which it has none, by torch's profiler.

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>

#include "io/edits/reader.hpp"
#include "sharding/edit_groups.hpp"
#include "tests/bench/dispatch_count.hpp"
#include "worker/device.hpp"
#include "worker/editing/values/context_prefixes.hpp"
#include "worker/editing/values/value_optimizer.hpp"
#include "worker/gpu_kernels.hpp"
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

struct Task {
  const Transformer& model;
  const std::vector<EditPrompts>& prompts;
  std::vector<std::int64_t> layers;  // of the vectors
  const io::Hparams& hparams;
};

InjectedForward group_of(const Task& task, std::size_t begin, std::size_t size, std::int64_t loss_layer) {
  const auto first = task.prompts.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = task.prompts.begin() + static_cast<std::ptrdiff_t>(std::min(task.prompts.size(), begin + size));
  return {task.model, {first, last}, {.layers = task.layers, .loss_layer = loss_layer}};
}

// Finds the values of all edits in groups of `size`. `look` sees those of each group and the number of its first
// edit.
template <class Look>
void search_in_groups(const Task& task, std::size_t size, const Look& look) {
  for (std::size_t begin = 0; begin < task.prompts.size(); begin += size) {
    std::vector<InjectedForward> groups;
    groups.push_back(group_of(task, begin, size, task.model.layers() - 1));
    look(optimize_values(std::move(groups), task.hparams).front().values, begin);
  }
}

struct BlockOperations {
  std::int64_t forward, backward;
};

// What one step of the first group dispatches from the embedding of the suffixes to the gradient of the vectors.
BlockOperations operations_of_step(const Task& task, std::size_t size, std::int64_t loss_layer) {
  InjectedForward group = group_of(task, 0, size, loss_layer);
  group.fill();
  const auto vectors = torch::zeros({group.edits(), group.injected_layers(), group.d_model()}).requires_grad_(true);
  const bench::DispatchCount count;
  const auto loss = group.loss(vectors).nll.sum();
  const std::int64_t forward = count.operations();
  (void)torch::autograd::grad({loss}, {vectors});
  return {forward, count.operations() - forward};
}

BlockOperations operations_of_block(const Task& task, std::size_t size) {
  const std::int64_t last = task.model.layers() - 1;
  const auto [forward, backward] = operations_of_step(task, size, last);
  const auto fewer = operations_of_step(task, size, last - 1);
  return {forward - fewer.forward, backward - fewer.backward};
}

// Flop/s of the products of a step over `tokens` alone: those of each block after the first injected one, forward
// and backward, on tensors that are there.
double product_flops(const Task& task, std::int64_t tokens) {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> weights;
  for (std::int64_t layer = task.layers.front() + 1; layer < task.model.layers(); ++layer) {
    const Block& block = task.model.block(layer);
    for (const Linear* linear : {&block.query_key_value, &block.attention_output, &block.up, &block.down})
      weights.push_back(linear->weight);
  }
  double flops = 0;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> inputs;
  for (const torch::Tensor& weight : weights) {
    flops += 4.0 * static_cast<double>(tokens * weight.numel());
    inputs.emplace_back(torch::randn({tokens, weight.size(1)}, weight.options()),
                        torch::randn({tokens, weight.size(0)}, weight.options()));
  }
  const auto step = [&] {
    for (std::size_t i = 0; i < weights.size(); ++i) (void)at::linear(inputs[i].first, weights[i]);
    for (std::size_t i = weights.size(); i-- > 0;) (void)at::mm(inputs[i].second, weights[i]);
  };
  step();
  wait_until_idle(task.model.device());
  const auto start = std::chrono::steady_clock::now();
  int steps = 0;
  while (steps < 3 || seconds_since(start) < 0.5) {
    step();
    wait_until_idle(task.model.device());
    ++steps;
  }
  return flops * steps / seconds_since(start);
}

// Prints a row of the table: groups of `size` edits, how far their values are from `slow`, where that is known, and
// how many times as fast they are found.
void measure(const Task& task, const char* form, std::size_t size, const std::vector<torch::Tensor>& slow,
             double slow_seconds) {
  const auto operations = operations_of_block(task, size);
  double flops = 0, apart = 0;
  {
    const bench::DispatchCount count;
    search_in_groups(task, size, [&](const torch::Tensor& values, std::size_t begin) {
      for (std::int64_t i = 0; i < values.size(0) && !slow.empty(); ++i) {
        const auto& alone = slow[begin + static_cast<std::size_t>(i)];
        apart = std::max(apart, ((values[i][-1] - alone).norm() / alone.norm()).item<double>());
      }
    });
    flops = count.flops();
  }
  InjectedForward first = group_of(task, 0, size, task.model.layers() - 1);
  first.fill();
  const double limit = product_flops(task, first.tokens());
  const auto start = std::chrono::steady_clock::now();
  search_in_groups(task, size, [](const torch::Tensor&, std::size_t) {});
  wait_until_idle(task.model.device());
  const double seconds = seconds_since(start), edits = static_cast<double>(task.prompts.size());
  std::printf("| %s | %zu | %lld | %lld + %lld | %.1f | %.3f | %.3f | %.3f | %.2f |", form, size,
              static_cast<long long>(first.tokens()), static_cast<long long>(operations.forward),
              static_cast<long long>(operations.backward), 1e-9 * flops / edits, seconds / edits,
              1e-12 * flops / seconds, 1e-12 * limit, flops / seconds / limit);
  if (task.model.device().is_cuda()) {
    GpuKernelCount count(task.model.device());
    search_in_groups(task, size, [](const torch::Tensor&, std::size_t) {});
    const GpuKernels kernels = count.finish();
    const auto groups = static_cast<double>((task.prompts.size() + size - 1) / size);
    std::printf(" %.0f kernels a step, none in %.2f of the time |\n",
                static_cast<double>(kernels.count) / groups / task.hparams.v_num_grad_steps, kernels.idle_share);
  } else if (slow.empty()) {
    std::printf("\n");
  } else {
    std::printf(" %.1f times as fast as one at a time; values apart by %.1e at most |\n",
                slow_seconds / (seconds / edits), apart);
  }
}

std::vector<std::size_t> numbers_of(const std::string& list) {
  std::vector<std::size_t> numbers;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::stoul(part));
  return numbers;
}

int run(int argc, char** argv) {
  const auto text = [&](int position, const char* otherwise) {
    return std::string(argc > position ? argv[position] : otherwise);
  };
  const auto number = [&](int position, const char* otherwise) { return std::stoi(text(position, otherwise)); };
  const int count = number(3, "16"), contexts = number(5, "4"), injected = number(9, "1");
  if (const int threads = number(6, "0"); threads > 0) torch::set_num_threads(threads);
  const auto directory = io::ModelDirectory::open(argv[1]);
  const auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  LoadOptions options;
  const std::string dtype = text(7, "auto");
  if (dtype != "auto") options.dtype = dtype == "bf16" ? torch::kBFloat16 : torch::kFloat;
  options.device = take_device(text(10, "cpu"), 0);
  const Transformer model = load_transformer(directory, options);
  io::Hparams hparams;
  const int last = static_cast<int>(model.layers()) - 1;
  hparams.layers = {std::min(8, last - 1)};
  hparams.v_loss_layer = last;
  hparams.v_num_grad_steps = number(4, "20");
  hparams.early_stop_loss = 0;  // all steps, so that all do the same work

  auto prefixes = generate_context_prefixes(model, tokenizer, contexts - 1, hparams.context_length, 0);
  prefixes.insert(prefixes.begin(), "");
  auto edits = io::read_edits(argv[2]).edits;
  edits.resize(std::min<std::size_t>(edits.size(), static_cast<std::size_t>(count)));
  const PromptBuilder builder(tokenizer);
  std::vector<EditPrompts> prompts;
  for (const io::Edit& edit : edits) prompts.push_back(builder.build(edit, prefixes));

  const auto sizes = numbers_of(text(8, "1,2,4,8,16"));
  std::vector<torch::Tensor> slow;
  double slow_seconds = 0;
  std::printf(
      "%zu edits, %d steps, %d prompts per edit and 1 for the KL term, %s, %d threads, vectors in %d layers\n",
      prompts.size(), hparams.v_num_grad_steps, contexts, torch::toString(model.dtype()), torch::get_num_threads(),
      injected);
  if (sizes.front() == 1 && injected == 1 && model.device().is_cpu()) {
    const auto start = std::chrono::steady_clock::now();
    for (const EditPrompts& edit : prompts) slow.push_back(one_at_a_time(model, edit, hparams));
    slow_seconds = seconds_since(start) / static_cast<double>(prompts.size());
    std::printf("one at a time, whole sequences: %.3f seconds per edit\n", slow_seconds);
  }
  const std::int64_t layer = hparams.layers.front();
  Task task{.model = model, .prompts = prompts, .layers = {}, .hparams = hparams};
  for (std::int64_t each = std::max<std::int64_t>(0, layer - injected + 1); each <= layer; ++each)
    task.layers.push_back(each);
  Transformer reference_model = model;
  reference_model.forms = kernels::Forms::references();
  const Task in_references{.model = reference_model, .prompts = prompts, .layers = task.layers, .hparams = hparams};
  std::printf("the engine's choice: groups of %lld\n\n",
              static_cast<long long>(sharding::edits_per_group(0, contexts, model.step_arithmetic())));
  std::printf(
      "| form | edits per group | tokens per step | operations per block and step | Gflop per edit | seconds per "
      "edit | "
      "Tflop/s | "
      "products alone, Tflop/s | fraction of the limit |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const std::size_t size : sizes) {
    if (size > prompts.size()) continue;
    measure(in_references, "reference", size, slow, slow_seconds);
    measure(task, "fused", size, slow, slow_seconds);
  }
  return 0;
}

}  // namespace
}  // namespace anchorage::worker

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "usage: value_optimizer_bench MODEL EDITS [edits] [steps] [contexts] [threads] "
                 "[dtype] [groups] [layers] [device]\n");
    return 2;
  }
  return anchorage::worker::run(argc, argv);
}
