// The texts that precede an edit's prompt while its value is optimized, so that the value works in any
// context.
//
// As in MEMIT, the model itself continues a few common first words. Here the sampling is seeded, so that a
// run can be repeated, and the run directory keeps the texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Generates `count` prefixes of about `tokens` tokens each, continuing "The", "Therefore", "Because", "I",
// "You" in turn (top-k 5). Throws io::UserError where the model has no row for one of their tokens.
// Collective over the stages.
std::vector<std::string> generate_context_prefixes(const Transformer& model, const io::Tokenizer& tokenizer,
                                                   std::int64_t count, std::int64_t tokens, std::uint64_t seed);

}  // namespace anchorage::worker
