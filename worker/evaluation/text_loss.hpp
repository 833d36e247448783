// Measures the loss of a model on running text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "io/tokenizer/tokenizer.hpp"
#include "worker/communicators.hpp"
#include "worker/evaluation/bootstrap.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct TextLoss {
  std::optional<double> loss;               // mean negative log-probability per predicted token, natural logarithm
  std::int64_t tokens = 0;                  // predicted tokens; without any there is no loss
  std::int64_t left_out = 0;                // sequences that cannot be scored
  std::string rejection;                    // why the first of these cannot be scored
  std::optional<Interval> loss_interval{};  // bootstrap over sequences
};

// Cuts the text into sequences of `sequence_length` tokens; each is scored on its own. Collective: sequences are
// split over the ranks; all get the same result, whatever the number of ranks.
TextLoss loss_on_text(const Transformer& model, const io::Tokenizer& tokenizer, const std::filesystem::path& text,
                      std::int64_t sequence_length, const Communicators& ranks);

// Measures the loss on given sequences, so many of them as rows of one pass; those of fewer than two tokens predict
// nothing.
TextLoss loss_on_sequences(const Transformer& model, std::span<const TokenIds> sequences,
                           const Communicators& ranks, std::int64_t of_pass = 1);

}  // namespace anchorage::worker
