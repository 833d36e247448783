#include "worker/evaluation/edit_generations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "io/evaluation/answer_match.hpp"
#include "io/files/digest.hpp"
#include "worker/model/embedding_rows.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t prompts_per_pass = 16;  // the unit of work: independent of the number of ranks
constexpr std::int64_t fields_before_ids = 2;  // of a gathered row: most tokens, tokens

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

// A prompt's ids, or why it is left out.
struct EncodedPrompt {
  TokenIds ids{};
  std::string rejection{};
};

EncodedPrompt encoded(const Transformer& model, const PromptBuilder& prompts, const std::string& text) {
  EncodedPrompt prompt;
  try {
    prompt.ids = prompts.prompt_ids(text);
  } catch (const io::UserError& error) {
    prompt.rejection = error.what();
    return prompt;
  }
  const io::ModelConfig& config = model.config;
  if (prompt.ids.empty()) {
    prompt.rejection = "expected a prompt of at least one token, found none";
  } else if (std::ssize(prompt.ids) > config.max_positions) {
    prompt.rejection = fmt::format("expected a prompt that takes at most the model's {} positions, found {}",
                                   config.max_positions, prompt.ids.size());
  } else if (const auto token = token_without_row(prompt.ids, prompts.tokenizer(), config.vocabulary)) {
    prompt.rejection = fmt::format("expected tokens that the model has one of its {} rows for, found {}",
                                   config.vocabulary, *token);
  }
  return prompt;
}

// What the model wrote after one prompt.
struct ProducedTokens {
  std::int64_t most = 0;  // tokens that were allowed; 0 where the prompt is left out
  TokenIds ids{};
};

// Continues prompts as the ranks share them.
class Generator {
 public:
  Generator(const Transformer& model, const PromptBuilder& prompts, std::int64_t max_new_tokens)
      : model_(model), prompts_(prompts), max_new_tokens_(max_new_tokens) {
    for (const std::int64_t id : model.config.eos_ids) options_.stop_ids.push_back(static_cast<std::int32_t>(id));
    options_.is_complete = [this](std::span<const std::int32_t> produced) {
      return io::stop_mark_in(prompts_.tokenizer().decode(produced)).has_value();
    };
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Returns [texts, fields_before_ids + max_new_tokens] i32 on the host: of each the most tokens that were allowed
  // (0 where it is left out), how many there are, and these.
  torch::Tensor rows_of(std::span<const std::string> texts) {
    std::vector<ProducedTokens> produced(texts.size());
    std::vector<TokenIds> together;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const EncodedPrompt prompt = encoded(model_, prompts_, texts[i]);
      if (!prompt.rejection.empty()) continue;
      // All rows of a call end when the longest takes the last position; the last new token takes none.
      produced[i].most = std::min(max_new_tokens_, model_.config.max_positions - std::ssize(prompt.ids) + 1);
      if (produced[i].most < max_new_tokens_) {
        produced[i].ids = continued(std::span(&prompt.ids, 1), produced[i].most).front();
      } else {
        together.push_back(prompt.ids);
        places.push_back(i);
      }
    }
    if (!together.empty()) {
      auto rows = continued(together, max_new_tokens_);
      for (std::size_t row = 0; row < places.size(); ++row) produced[places[row]].ids = std::move(rows[row]);
    }
    return packed(produced);
  }

 private:
  std::vector<TokenIds> continued(std::span<const TokenIds> rows, std::int64_t tokens) {
    options_.max_new_tokens = tokens;
    return generate(model_, rows, options_);
  }

  torch::Tensor packed(const std::vector<ProducedTokens>& produced) const {
    auto rows = torch::zeros({std::ssize(produced), fields_before_ids + max_new_tokens_}, torch::kInt32);
    auto* row = rows.data_ptr<std::int32_t>();
    for (const ProducedTokens& one : produced) {
      row[0] = static_cast<std::int32_t>(one.most);
      row[1] = static_cast<std::int32_t>(one.ids.size());
      std::ranges::copy(one.ids, row + fields_before_ids);
      row += rows.size(1);
    }
    return rows;
  }

  const Transformer& model_;
  const PromptBuilder& prompts_;
  std::int64_t max_new_tokens_;
  GenerateOptions options_;
};

OptionalText text_of_row(const io::Tokenizer& tokenizer, std::span<const std::int32_t> row) {
  const std::int32_t most = row[0], count = row[1];
  if (most == 0) return std::nullopt;
  const std::string whole = tokenizer.decode(row.subspan(fields_before_ids, static_cast<std::size_t>(count)));
  const auto mark = io::stop_mark_in(whole);
  return GeneratedText{.text = whole.substr(0, mark.value_or(whole.size())),
                       .naturally_ended = mark || count < most};
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

std::optional<LeftOutPrompt> first_left_out(const Transformer& model, const PromptBuilder& prompts,
                                            std::span<const io::Edit> edits,
                                            const std::vector<TextsOfEdit>& texts) {
  const auto has_all = [](const std::vector<OptionalText>& some) {
    return std::ranges::all_of(some, &OptionalText::has_value);
  };
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto& [prompt, paraphrases, neighborhood, portability] = texts[i];
    if (prompt && has_all(paraphrases) && has_all(neighborhood) && has_all(portability)) continue;
    for (const std::string& text : prompts_of(edits.subspan(i, 1))) {
      if (EncodedPrompt tried = encoded(model, prompts, text); !tried.rejection.empty())
        return LeftOutPrompt{.edit = edits[i].id, .reason = std::move(tried.rejection)};
    }
  }
  return std::nullopt;
}

}  // namespace

EditGenerations generate_for_edits(const Transformer& model, const PromptBuilder& prompts,
                                   std::span<const io::Edit> edits, std::int64_t max_new_tokens,
                                   const Communicators& ranks) {
  io::check(max_new_tokens >= 1 && max_new_tokens <= most_new_tokens, "a limit on tokens out of its range");
  const std::vector<std::string> texts = prompts_of(edits);
  Generator generator(model, prompts, max_new_tokens);
  std::vector<torch::Tensor> own = {torch::empty({0, fields_before_ids + max_new_tokens}, torch::kInt32)};
  for (const auto& group : own_groups(ranks, std::ssize(texts), prompts_per_pass))
    own.push_back(generator.rows_of(part_of(std::span<const std::string>(texts), group)));
  model.stages.deliver();
  const auto rows = ranks.device.all_gather(at::cat(own).to(model.device()), "gather generations").cpu();
  std::vector<OptionalText> all;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    all.push_back(text_of_row(prompts.tokenizer(), {rows.data_ptr<std::int32_t>() + i * rows.size(1),
                                                    static_cast<std::size_t>(rows.size(1))}));
  }
  EditGenerations generations{.texts = by_edit(edits, std::move(all)), .max_new_tokens = max_new_tokens};
  generations.first_left_out = first_left_out(model, prompts, edits, generations.texts);
  return generations;
}

std::string digest_of_prompts(std::span<const io::Edit> edits) {
  std::string all;
  for (const std::string& text : prompts_of(edits)) all.append(text).push_back('\0');
  return io::sha256_hex(std::string_view(all));
}

}  // namespace anchorage::worker
