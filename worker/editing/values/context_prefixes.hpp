// The texts that stand before an edit's prompt while its value is sought, so that the value holds in any context.
//
// MEMIT's way: the model itself continues a few common first words. Here the draw is seeded, so that a run can be
// repeated, and the texts are kept in the run directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// `count` prefixes of about `tokens` tokens each, continuing "The", "Therefore", "Because", "I", "You" in turn
// (top-k 5). Collective over the stages. Throws io::UserError where the model has no row for one of their tokens.
std::vector<std::string> generate_context_prefixes(const Transformer& model, const io::Tokenizer& tokenizer,
                                                   std::int64_t count, std::int64_t tokens, std::uint64_t seed);

}  // namespace anchorage::worker
