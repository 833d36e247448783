#include "worker/evaluation/edit_generations.hpp"

#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "io/evaluation/answer_match.hpp"
#include "io/files/digest.hpp"
#include "worker/evaluation/continuations.hpp"

namespace anchorage::worker {
namespace {

// All prompts of the edits, in their order.
std::vector<std::string> prompts_of(std::span<const io::Edit> edits) {
  std::vector<std::string> texts;
  for (const io::Edit& edit : edits) {
    texts.push_back(edit.model_prompt());
    texts.insert(texts.end(), edit.paraphrases.begin(), edit.paraphrases.end());
    for (const io::Neighbor& neighbor : edit.neighborhood) texts.push_back(neighbor.prompt);
    for (const io::Neighbor& consequence : edit.portability) texts.push_back(consequence.prompt);
  }
  return texts;
}

OptionalText counted(const std::optional<Continuation>& continuation) {
  if (!continuation) return std::nullopt;
  const std::string& whole = continuation->text;
  return GeneratedText{.text = whole.substr(0, io::stop_mark_in(whole).value_or(whole.size())),
                       .naturally_ended = continuation->has_ended};
}

// Hands the texts out to the edits, in the order of prompts_of.
std::vector<TextsOfEdit> by_edit(std::span<const io::Edit> edits, std::vector<OptionalText> texts) {
  std::size_t next = 0;
  const auto take = [&](std::size_t count) {
    const auto begin = std::make_move_iterator(texts.begin() + static_cast<std::ptrdiff_t>(next));
    next += count;
    return std::vector<OptionalText>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  std::vector<TextsOfEdit> result;
  for (const io::Edit& edit : edits) {
    TextsOfEdit of_edit;
    of_edit.prompt = std::move(texts[next++]);
    of_edit.paraphrases = take(edit.paraphrases.size());
    of_edit.neighborhood = take(edit.neighborhood.size());
    of_edit.portability = take(edit.portability.size());
    result.push_back(std::move(of_edit));
  }
  return result;
}

std::optional<LeftOutPrompt> first_without_text(const Transformer& model, const PromptBuilder& prompts,
                                                std::span<const io::Edit> edits,
                                                const std::vector<TextsOfEdit>& texts) {
  const auto has_all = [](const std::vector<OptionalText>& some) {
    return std::ranges::all_of(some, &OptionalText::has_value);
  };
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto& [prompt, paraphrases, neighborhood, portability] = texts[i];
    if (prompt && has_all(paraphrases) && has_all(neighborhood) && has_all(portability)) continue;
    for (const std::string& text : prompts_of(edits.subspan(i, 1))) {
      if (auto obstacle = continuation_obstacle(model, prompts, text))
        return LeftOutPrompt{.edit = edits[i].id, .reason = std::move(*obstacle)};
    }
  }
  return std::nullopt;
}

}  // namespace

EditGenerations generate_for_edits(const Transformer& model, const PromptBuilder& prompts,
                                   std::span<const io::Edit> edits, std::int64_t max_new_tokens,
                                   const Communicators& ranks) {
  io::check(max_new_tokens >= 1 && max_new_tokens <= most_new_tokens, "a limit on tokens out of its range");
  const ContinuationOptions options{.max_new_tokens = max_new_tokens, .is_complete = [](const std::string& text) {
                                      return io::stop_mark_in(text).has_value();
                                    }};
  std::vector<OptionalText> all;
  for (const auto& continuation : continue_greedily(model, prompts, prompts_of(edits), options, ranks))
    all.push_back(counted(continuation));
  EditGenerations generations{.texts = by_edit(edits, std::move(all)), .max_new_tokens = max_new_tokens};
  generations.first_left_out = first_without_text(model, prompts, edits, generations.texts);
  return generations;
}

std::string digest_of_prompts(std::span<const io::Edit> edits) {
  std::string all;
  for (const std::string& text : prompts_of(edits)) all.append(text).push_back('\0');
  return io::sha256_hex(std::string_view(all));
}

}  // namespace anchorage::worker
