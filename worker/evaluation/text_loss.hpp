// The loss of a model on running text.
#pragma once

#include <filesystem>
#include <span>

#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"
#include "worker/ranks.hpp"

namespace anchorage::worker {

struct TextLoss {
  double loss = 0;          // mean negative log-probability a predicted token, natural logarithm
  std::int64_t tokens = 0;  // predicted ones
};

// Cuts the text into sequences of `sequence_length` tokens; each is scored on its own. Collective: sequences are
// split over the ranks; all get the same result, whatever their number.
TextLoss loss_on_text(const Transformer& model, const io::Tokenizer& tokenizer, const std::filesystem::path& text,
                      std::int64_t sequence_length, const Ranks& ranks);

// The same of sequences that are there already; those of less than two tokens predict nothing.
TextLoss loss_on_sequences(const Transformer& model, std::span<const TokenIds> sequences, const Ranks& ranks);

}  // namespace anchorage::worker
