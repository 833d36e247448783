// What a page or a service says of a run that does not change.
#pragma once

#include <filesystem>

#include "coordinator/service/run_state.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/run_record.hpp"

namespace anchorage::launch {

coordinator::RunFacts facts_of(const std::filesystem::path& run, const io::RunRecord& record,
                               const io::Hparams& hparams);

}  // namespace anchorage::launch
