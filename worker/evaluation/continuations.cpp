#include "worker/evaluation/continuations.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "worker/evaluation/gathered_rows.hpp"
#include "worker/model/embedding_rows.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t prompts_per_pass = 16;  // the unit of work: independent of the number of ranks
constexpr std::int64_t fields_before_ids = 2;  // of a gathered row: most tokens, tokens

// Returns the prompt's ids; throws io::UserError for one that cannot be continued.
TokenIds continuable_ids(const Transformer& model, const PromptBuilder& prompts, const std::string& prompt) {
  TokenIds ids = prompts.prompt_ids(prompt);
  io::Diagnostic diagnostic{.expected = "a prompt of at least one token",
                            .found = "none",
                            .where = "",
                            .remedy = "give a text to continue"};
  if (ids.empty()) throw io::UserError(diagnostic);
  require_rows(ids, prompts.tokenizer(), model.config.vocabulary, "");
  if (std::ssize(ids) <= model.config.max_positions) return ids;
  diagnostic.expected =
      fmt::format("a prompt that takes at most the model's {} positions", model.config.max_positions);
  diagnostic.found = std::to_string(ids.size());
  diagnostic.remedy = "shorten it";
  throw io::UserError(diagnostic);
}

// What the model wrote after one prompt.
struct ProducedTokens {
  std::int64_t most = 0;  // tokens that were allowed; 0 where the prompt is left out
  TokenIds ids{};
};

// Continues this rank's groups of prompts.
class Generator {
 public:
  Generator(const Transformer& model, const PromptBuilder& prompts, const ContinuationOptions& options)
      : model_(model), prompts_(prompts), max_new_tokens_(options.max_new_tokens) {
    options_.stop_ids = end_of_text_ids(model.config);
    if (!options.is_complete) return;
    options_.is_complete = [&prompts, is_complete = options.is_complete](std::span<const std::int32_t> produced) {
      return is_complete(prompts.tokenizer().decode(produced));
    };
  }

  // Returns [texts, fields_before_ids + max_new_tokens] i32 on the host: of each the most tokens that were allowed
  // (0 where it is left out), how many there are, and these.
  torch::Tensor rows_of(std::span<const std::string> texts) {
    std::vector<ProducedTokens> produced(texts.size());
    std::vector<TokenIds> together;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const TokenIds ids = ids_or_none(texts[i]);
      if (ids.empty()) continue;
      // All rows of a call end when the longest takes the last position; the last new token takes none.
      produced[i].most = std::min(max_new_tokens_, model_.config.max_positions - std::ssize(ids) + 1);
      if (produced[i].most < max_new_tokens_) {
        produced[i].ids = continued(std::span(&ids, 1), produced[i].most).front();
      } else {
        together.push_back(ids);
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
  TokenIds ids_or_none(const std::string& text) const {
    try {
      return continuable_ids(model_, prompts_, text);
    } catch (const io::UserError&) {
      return {};
    }
  }

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

std::optional<Continuation> continuation_of(std::span<const std::int32_t> row, const io::Tokenizer& tokenizer,
                                            const ContinuationOptions& options) {
  const std::int32_t most = row[0], count = row[1];
  if (most == 0) return std::nullopt;
  Continuation continuation{.text =
                                tokenizer.decode(row.subspan(fields_before_ids, static_cast<std::size_t>(count)))};
  continuation.has_ended = count < most || (options.is_complete && options.is_complete(continuation.text));
  return continuation;
}

}  // namespace

std::optional<std::string> continuation_obstacle(const Transformer& model, const PromptBuilder& prompts,
                                                 const std::string& prompt) {
  try {
    continuable_ids(model, prompts, prompt);
    return std::nullopt;
  } catch (const io::UserError& error) {
    return error.what();
  }
}

std::vector<std::optional<Continuation>> continue_greedily(const Transformer& model, const PromptBuilder& prompts,
                                                           std::span<const std::string> texts,
                                                           const ContinuationOptions& options,
                                                           const Communicators& ranks) {
  Generator generator(model, prompts, options);
  std::vector<torch::Tensor> own = {torch::empty({0, fields_before_ids + options.max_new_tokens}, torch::kInt32)};
  for (const auto& group : own_groups(ranks, std::ssize(texts), prompts_per_pass))
    own.push_back(generator.rows_of(part_of(texts, group)));
  const auto rows = gather_rows(model, ranks, own, std::ssize(texts), prompts_per_pass, "gather continuations");
  std::vector<std::optional<Continuation>> continuations;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    const std::span row(rows.data_ptr<std::int32_t>() + i * rows.size(1), static_cast<std::size_t>(rows.size(1)));
    continuations.push_back(continuation_of(row, prompts.tokenizer(), options));
  }
  return continuations;
}

}  // namespace anchorage::worker
