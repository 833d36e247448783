#include "launch/commands/stage_choice.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/planner.hpp"
#include "launch/program/broadcast_text.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {
namespace {

coordinator::PlanRequest request_for(const coordinator::Workload& workload, Session& session) {
  coordinator::PlanRequest request{.workload = workload,
                                   .machine = {},
                                   .ranks = session.host().size(),
                                   .stages = session.asked_stages(),
                                   .ranks_from = "mpirun -n"};
  if (!session.is_on_gpu()) request.machine = coordinator::Machine::cpu(session.threads());
  // Ranks on the CPU share the machine's memory, so they have no limit, and one stage unless asked for more.
  if (!session.is_on_gpu() && request.stages == 0) request.stages = 1;
  const auto memory = session.device_memory();
  request.machine.memory_bytes = memory ? static_cast<double>(*memory) : 1e18;
  return request;
}

}  // namespace

coordinator::Workload workload_of(const io::ModelConfig& model, const io::Hparams& hparams,
                                  const worker::Method& method, std::int64_t batch, const Session& session) {
  return {.model = model,
          .hparams = hparams,
          .weight_bytes = weight_bytes(model, session.dtype()),
          .batch = batch,
          .evaluations = worker::evaluations_of(method, hparams),
          .locate_evaluations = worker::selects_anchors(method, hparams) ? hparams.eac_locate_steps : 0,
          .joint = method.solve == worker::Solve::joint,
          .null_space = method.update_transform == worker::UpdateTransform::null_space};
}

coordinator::Workload workload_of(const io::ModelConfig& model, const Session& session) {
  return {.model = model, .hparams = {}, .weight_bytes = weight_bytes(model, session.dtype()), .batch = 1};
}

StageChoice choose_stages(const coordinator::Workload& workload, Session& session) {
  auto chosen = nlohmann::json::array();  // of each stage the begin and the end of each of its ranges
  auto slabs = nlohmann::json::array();
  std::int64_t kept_groups = 0;
  if (session.is_root()) {
    const auto plan = coordinator::plan_ranks(request_for(workload, session));
    for (const sharding::StageLayers& stage : plan.stages) {
      auto ranges = nlohmann::json::array();
      for (const sharding::Range& range : stage.ranges())
        ranges.push_back(nlohmann::json::array({range.begin, range.end}));
      chosen.push_back(std::move(ranges));
    }
    for (const coordinator::RankPlan& rank : plan.ranks) slabs.push_back(rank.slabs);
    kept_groups = plan.kept_groups;
  }
  const auto everywhere = nlohmann::json::parse(
      broadcast_text(nlohmann::json{{"stages", chosen}, {"slabs", slabs}, {"kept_groups", kept_groups}}.dump(),
                     session.host(), "broadcast stages"));
  StageChoice choice{.stages = {},
                     .slabs = everywhere.at("slabs").get<std::vector<std::int64_t>>(),
                     .kept_groups = everywhere.at("kept_groups").get<std::int64_t>()};
  for (const auto& stage : everywhere.at("stages")) {
    std::vector<sharding::Range> ranges;
    for (const auto& range : stage) ranges.push_back({range[0], range[1]});
    choice.stages.emplace_back(ranges);
  }
  return choice;
}

}  // namespace anchorage::launch
