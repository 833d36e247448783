// Which layers each stage holds, for the ranks at hand.
#pragma once

#include <cstdint>
#include <vector>

#include "io/hparams.hpp"
#include "io/model_config.hpp"
#include "launch/session.hpp"
#include "sharding/range.hpp"

namespace anchorage::launch {

// As asked with --stages; where not asked, on GPUs as few stages as fit their memory, on CPUs one. `hparams`
// without layers: nothing is edited. Throws io::UserError where it cannot be and says what could. Collective: rank
// 0 decides.
std::vector<sharding::Range> choose_stages(const io::ModelConfig& model, const io::Hparams& hparams,
                                           std::int64_t batch, Session& session);

}  // namespace anchorage::launch
