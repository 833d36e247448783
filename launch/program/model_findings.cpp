#include "launch/program/model_findings.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/model/embedding_rows.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::launch {
namespace {

// Lists the first few names, and how many more there are.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 5;
  const auto first = std::span(names).first(std::min(names.size(), most));
  const std::string more = names.size() > most ? fmt::format(" and {} more", names.size() - most) : "";
  return fmt::format("{}{}", fmt::join(first, ", "), more);
}

}  // namespace

void warn_of_unknown_keys(const io::ModelConfig& config, const std::filesystem::path& file) {
  if (config.unknown_keys.empty()) return;
  spdlog::warn("{} has keys that are not known here and have no effect: {}", file.string(),
               listed(config.unknown_keys));
}

void warn_of_findings(const io::ModelDirectory& directory) {
  const io::ModelConfig& config = directory.config();
  warn_of_unknown_keys(config, directory.path() / "config.json");
  if (const auto unused = worker::unused_tensors(directory); !unused.empty()) {
    spdlog::warn(
        "{} has {} tensors that its config.json has no place for and that are not used, as in transformers: {}",
        directory.path().string(), unused.size(), listed(unused));
  }
  if (config.tied_head && worker::has_own_head(directory)) {
    spdlog::warn(
        "{} has an lm_head.weight that differs from the embedding which its config.json ties to it: it is "
        "used, as in transformers",
        directory.path().string());
  }
}

void warn_of_tokens_without_row(const io::Tokenizer& tokenizer, const io::ModelDirectory& directory) {
  const std::int64_t rows = directory.config().vocabulary;
  const auto tokens = worker::tokens_without_row(tokenizer, rows);
  if (tokens.empty()) return;
  spdlog::warn(
      "{} has {} tokens for which the model's embedding of {} rows has none: {}; texts that need one cannot "
      "be used",
      directory.tokenizer().string(), tokens.size(), rows, listed(tokens));
}

void warn_of_tokens_of_config_alone(const std::vector<std::string>& tokens, const io::ModelDirectory& directory) {
  if (tokens.empty()) return;
  spdlog::warn(
      "{0} has {1} tokens in tokenizer_config.json that tokenizer.json does not have: {2}; they are read as text "
      "like any other, where transformers takes each for one token. Save the tokenizer with it: "
      "AutoTokenizer.from_pretrained(\"{0}\").save_pretrained(\"{0}\")",
      directory.path().string(), tokens.size(), listed(tokens));
}

std::int64_t sequence_length(std::optional<std::int64_t> asked, const io::ModelConfig& config) {
  constexpr std::int64_t usual = 512;
  if (!asked) return std::min(usual, config.max_positions);
  if (*asked <= config.max_positions) return *asked;
  throw io::UserError({.expected = fmt::format("at most the model's {} positions", config.max_positions),
                       .found = std::to_string(*asked),
                       .where = "--sequence-length",
                       .remedy = "choose fewer, or leave it out"});
}

}  // namespace anchorage::launch
