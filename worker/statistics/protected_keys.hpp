// Finds the keys of facts that an edit run protects: what the edited layers' weights map these keys to, updates
// leave alone (docs/method.md, section 3). Of a prompt with a subject they are those at the subject's last token,
// where edits are written and facts recalled, and at the prompt's last token, where the answer is predicted;
// without one, at the prompt's last token.
#pragma once

#include <span>
#include <vector>

#include "io/edits/protected_prompts.hpp"
#include "io/run/protected_keys.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Returns one row of tokens a key, up to the token that it is of: what comes later has no part in it. In the order
// of the prompts, a subject's before its prompt's, and none twice, so prompts that begin alike up to their subject
// share its key. Throws io::UserError, with its place, for a prompt that takes more than `positions`, needs a token
// that the model has no row for, or has no token that stands for the subject's end.
std::vector<TokenIds> protected_rows(const PromptBuilder& builder, std::span<const io::ProtectedPrompt> prompts,
                                     std::int64_t positions);

// Returns the keys of these rows on the model's weights, which are to be those before any edit, on rank 0: one [n,
// f] for each of `layers`, which ascend. Nothing on other ranks. The same bits on any number of ranks. Collective
// over the world.
std::vector<io::ProtectedLayer> collect_protected_keys(const Transformer& model, std::span<const TokenIds> rows,
                                                       const std::vector<std::int64_t>& layers,
                                                       const Communicators& ranks);

}  // namespace anchorage::worker
