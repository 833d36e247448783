#include "launch/commands/export/canary_check.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/canaries.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/evaluation/canary_probe.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {

void require_canaries(ExportReport& report, const ExportedRun& run, const std::filesystem::path& file,
                      Session& session) {
  const torch::NoGradGuard no_gradients;
  const auto canaries = canaries_in(file, run.base.path(), run.record.chat_template, session.host());
  auto model = worker::load_transformer(run.base, {.device = session.device(), .dtype = std::nullopt});
  const auto tokenizer = io::Tokenizer::load(run.base.tokenizer());
  const worker::CanaryProbe probe(model, worker::PromptBuilder(tokenizer, model.config.vocabulary), canaries);
  const auto before = probe.ask();
  for (const auto& [layer, weight] : rebuilt_weights(run.base, run.updates))
    model.block(layer).down.weight.copy_(weight);
  const auto looks = probe.looks(before, probe.ask());
  const auto fails = std::ranges::find(looks, false, &io::CanaryLook::holds);
  if (fails != looks.end()) {
    const auto count = std::ranges::count(looks, false, &io::CanaryLook::holds);
    throw io::SystemError({.expected = fmt::format("an edited model of which all {} canaries hold", looks.size()),
                           .found = fmt::format("{} that do not: {}", count, fails->text()),
                           .where = file.string(),
                           .remedy =
                               "nothing is left of the export; 'anchorage journal history' finds the edit, and "
                               "'anchorage remove' removes it"});
  }
  report.document["canaries"] = looks.size();
  report.text += fmt::format("{} canaries hold\n", looks.size());
  report.card.push_back(
      fmt::format("All {} canaries hold: prompts that are asked before every export.", looks.size()));
}

}  // namespace anchorage::launch
