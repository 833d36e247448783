#include "launch/commands/run_facts.hpp"

#include "coordinator/hosted_run.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

coordinator::RunFacts facts_of(const std::filesystem::path& run, const io::RunRecord& record,
                               const io::Hparams& hparams) {
  return {.run = run.string(),
          .model = record.model,
          .method = record.method,
          .version = ANCHORAGE_VERSION,
          .batch_size = record.batch_size,
          .require_approval = record.require_approval,
          .has_canaries = !record.canaries.empty(),
          .guard = coordinator::guard_limits(hparams)};
}

coordinator::Provenance provenance_of(const io::RunRecord& record, const Session& session) {
  return {.version = ANCHORAGE_VERSION, .world = session.host().size(), .seed = record.seed};
}

}  // namespace anchorage::launch
