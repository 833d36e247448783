// What a page or a service says of a run that does not change, and what its segments say of their writer.
#pragma once

#include <filesystem>

#include "coordinator/service/run_state.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/run_record.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

coordinator::RunFacts facts_of(const std::filesystem::path& run, const io::RunRecord& record,
                               const io::Hparams& hparams);

// Who writes a segment of the run: this program, on the session's ranks.
coordinator::Provenance provenance_of(const io::RunRecord& record, const Session& session);

}  // namespace anchorage::launch
