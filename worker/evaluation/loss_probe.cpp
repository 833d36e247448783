#include "worker/evaluation/loss_probe.hpp"

#include <algorithm>
#include <array>

#include "io/run/journal/segment.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::worker {
namespace {

// Facts of different kinds, in plain English, that do not change.
constexpr std::array sentences = {
    "Water boils at a lower temperature on a high mountain because the air pressure there is smaller.",
    "The bridge was built of stone in the middle ages and carried carts across the river for five hundred years.",
    "A triangle has three sides, and the sum of its angles is one hundred and eighty degrees.",
    "She opened the window, looked at the rain for a while, and decided to take the bus instead of walking.",
    "Bees collect nectar from flowers and carry pollen from one plant to another while they do so.",
    "The orchestra tuned its instruments, the lights went down, and the audience fell silent.",
    "In many languages the verb changes its form with the person who acts and with the time of the action.",
    "Wheat is sown in autumn or in spring, and it is harvested when the ears are dry and yellow.",
    "The moon goes around the earth in about four weeks and always shows it the same side.",
    "He sold the old car to a neighbor, who repaired the engine and drove it for another ten years.",
    "Iron rusts when it stands in damp air, which is why ships and bridges are painted.",
    "The committee read the report, asked a few questions, and put the decision off until the next meeting.",
};

// A pass costs what its kernels take to start, but passes are what replicas share.
constexpr std::int64_t sentences_of_pass = 4;

}  // namespace

std::vector<TokenIds> general_sentences(const PromptBuilder& prompts, std::int64_t positions) {
  std::vector<TokenIds> encoded;
  for (const char* sentence : sentences) {
    TokenIds& ids = encoded.emplace_back(prompts.prompt_ids(sentence));
    ids.resize(std::min(ids.size(), static_cast<std::size_t>(positions)));
  }
  return encoded;
}

LossProbe::LossProbe(const Transformer& model, const PromptBuilder& prompts, const Communicators& ranks)
    : model_(model), communicators_(ranks), sentences_(general_sentences(prompts, model.config.max_positions)) {}

double LossProbe::loss() const {
  const auto activity = communicators_.world.activity("score");
  return loss_on_sequences(model_, sentences_, communicators_, sentences_of_pass).loss.value_or(io::not_measured);
}

}  // namespace anchorage::worker
