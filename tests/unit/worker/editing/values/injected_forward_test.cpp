// The suffix-only forward pass against whole rows, and its gradient against finite differences; all in f64.
#include "worker/editing/values/injected_forward.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

using tests::expect_close;

// Two edits, one with a subject of which the last token is the first of the row, targets of one and of three
// tokens.
std::vector<EditPrompts> two_edits() {
  EditPrompts first, second;
  first.rewrites = {{{5, 6, 7, 8, 9}, 2, 4}, {{20, 21, 22, 5, 6, 7, 8, 9}, 5, 7}};
  first.kl_prompt = {{6, 7, 30, 31}, 1, 3};
  first.target = {40};
  second.rewrites = {
      {{11, 12, 13, 41, 42}, 0, 2}, {{20, 21, 22, 11, 12, 13, 41, 42}, 3, 5}, {{9, 11, 12, 13, 41, 42}, 1, 3}};
  second.kl_prompt = {{11, 30, 31}, 0, 2};
  second.target = {41, 42, 43};
  return {first, second};
}

InjectedForward filled(const Transformer& model, const InjectionOptions& options) {
  InjectedForward forward(model, two_edits(), options);
  forward.fill();
  return forward;
}

// A window of three positions in place of a longer one hides something in rows as short as these.
Transformer model_in_f64(const std::string& name) {
  auto model =
      load_transformer(tests::golden_model(name).directory, {.device = torch::kCPU, .dtype = torch::kDouble});
  for (std::int64_t& window : model.config.windows) window = std::min<std::int64_t>(window, 3);
  return model;
}

// Log-probabilities at the loss layer with `vectors` [m, d] added, all tokens of one row: the slow way.
torch::Tensor whole_row(const Transformer& model, const PromptRow& row, const InjectionOptions& options,
                        const torch::Tensor& vectors) {
  const ForwardPass pass(model, lay_out(std::span(&row.ids, 1), {}, torch::kCPU));
  auto hidden = pass.embed();
  for (std::int64_t layer = 0; layer <= options.loss_layer; ++layer) {
    const BlockOutput output = pass.block(layer, hidden);
    hidden = output.hidden.clone();
    for (std::int64_t slot = 0; slot < std::ssize(options.layers); ++slot) {
      if (options.layers[static_cast<std::size_t>(slot)] != layer) continue;
      if (output.down.defined()) {  // the vector goes through the norm after the MLP
        const auto down = output.down[row.subject_last] + vectors[slot];
        hidden[row.subject_last] = ForwardPass::hidden_of(model, layer, output.attended[row.subject_last], down);
      } else {
        hidden[row.subject_last] += vectors[slot];
      }
    }
  }
  return next_token_log_probabilities(model, hidden);
}

struct SlowLoss {
  double nll = 0, kl = 0;
};

SlowLoss slow_loss(const Transformer& model, const EditPrompts& edit, const InjectionOptions& options,
                   const torch::Tensor& vectors) {
  SlowLoss loss;
  for (const PromptRow& row : edit.rewrites) {
    const auto log_probabilities = whole_row(model, row, options, vectors);
    for (std::size_t t = 0; t < edit.target.size(); ++t) {
      const auto position = row.predicts_from + static_cast<std::int64_t>(t);
      loss.nll -= log_probabilities[position][edit.target[t]].item<double>() /
                  static_cast<double>(edit.target.size() * edit.rewrites.size());
    }
  }
  const auto before =
      whole_row(model, edit.kl_prompt, options, torch::zeros_like(vectors))[edit.kl_prompt.predicts_from];
  const auto after = whole_row(model, edit.kl_prompt, options, vectors)[edit.kl_prompt.predicts_from];
  loss.kl = (before.exp() * (before - after)).sum().item<double>();
  return loss;
}

class InjectedForwardOfFamily : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { torch::manual_seed(3); }

  const Transformer model = model_in_f64(GetParam());
  const torch::Tensor injected = 0.3 * torch::randn({2, 2, model.config.d_model}, torch::kDouble);
};

TEST_P(InjectedForwardOfFamily, SuffixesGiveTheLossOfWholeRows) {
  for (const InjectionOptions& options :
       {InjectionOptions{{1, 2}, 3}, InjectionOptions{{0, 3}, 3}, InjectionOptions{{0, 1}, 2}}) {
    const InjectedLoss loss = filled(model, options).loss(injected);
    for (std::int64_t edit = 0; edit < 2; ++edit) {
      const SlowLoss expected =
          slow_loss(model, two_edits()[static_cast<std::size_t>(edit)], options, injected[edit]);
      EXPECT_NEAR(loss.nll[edit].item<double>(), expected.nll, 1e-10);
      EXPECT_NEAR(loss.kl[edit].item<double>(), expected.kl, 1e-10);
    }
  }
}

TEST_P(InjectedForwardOfFamily, GradientEqualsFiniteDifferences) {
  const InjectedForward forward = filled(model, {{1, 2}, 3});
  const auto objective = [&](const torch::Tensor& point) {
    const InjectedLoss loss = forward.loss(point);
    return (loss.nll + 0.7 * loss.kl).sum();
  };
  auto point = injected.clone().requires_grad_(true);
  const auto gradient = torch::autograd::grad({objective(point)}, {point}).front();
  const double step = 1e-5;
  for (const auto& [edit, slot, entry] : {std::tuple{0, 0, 3}, {0, 1, 17}, {1, 0, 0}, {1, 1, 31}}) {
    const auto at = [&](double offset) {
      auto moved = injected.clone();
      moved[edit][slot][entry] += offset;
      return objective(moved).item<double>();
    };
    EXPECT_NEAR(gradient[edit][slot][entry].item<double>(), (at(step) - at(-step)) / (2 * step), 1e-8);
  }
}

TEST_P(InjectedForwardOfFamily, NormsAreThoseOfTheFirstContextsSubject) {
  const InjectionOptions options{{1, 2}, 3};
  const InjectedForward forward = filled(model, options);
  const auto edits = two_edits();
  for (std::int64_t edit = 0; edit < 2; ++edit) {
    const PromptRow& row = edits[static_cast<std::size_t>(edit)].rewrites.front();
    const ForwardPass pass(model, lay_out(std::span(&row.ids, 1), {}, torch::kCPU));
    const BlockOutput output = pass.block(2, pass.blocks(0, 2, pass.embed()));
    const auto& changed = output.down.defined() ? output.down : output.hidden;
    const auto expected = changed[row.subject_last].norm().item<double>();
    EXPECT_NEAR(forward.norms()[edit].item<double>(), expected, 1e-5 * expected);
  }
}

TEST_P(InjectedForwardOfFamily, AnEditThatStaysSeesNothingOfOneThatLeaves) {
  InjectedForward forward = filled(model, {{1, 2}, 3});
  const InjectedLoss before = forward.loss(injected);
  const std::vector<std::int64_t> kept = {1};
  forward.keep(kept);
  const InjectedLoss after = forward.loss(injected.narrow(0, 1, 1));
  EXPECT_NEAR(after.nll[0].item<double>(), before.nll[1].item<double>(), 1e-12);
  EXPECT_NEAR(after.kl[0].item<double>(), before.kl[1].item<double>(), 1e-12);
}

TEST_P(InjectedForwardOfFamily, WithoutInjectionNothingDiverges) {
  const InjectedForward forward = filled(model, {{1, 2}, 3});
  EXPECT_LT(forward.loss(torch::zeros_like(injected)).kl.abs().max().item<double>(), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Families, InjectedForwardOfFamily, testing::ValuesIn(tests::golden_model_names),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace anchorage::worker
