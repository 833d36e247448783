// The service of a run that is watched or served, and the run's inputs with it, on rank 0.
#pragma once

#include <memory>
#include <optional>

#include "coordinator/hosted_run.hpp"
#include "coordinator/service/service.hpp"
#include "launch/commands/edit_plan.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::launch {

// Returns what happens to an edit that contradicts an earlier one. A service of a method that cannot take an edit
// out of the weights refuses what would replace one: it has nobody to ask.
coordinator::OnConflict conflict_policy(const EditOptions& options, const worker::Method& method);

// Opens the run's directory on rank 0. A run that is served has its edits from the service, which begins with those
// of files and inbox.
struct OpenedRun {
  std::optional<coordinator::RunInputs> inputs;
  std::unique_ptr<coordinator::Service> service;
};

// Opens the run's directory and begins to answer, where --listen says so. Throws as RunInputs::open and Service do.
OpenedRun open_run(const EditOptions& options, const coordinator::RunPlan& plan, const worker::Method& method);

// Detaches the service before the run that it is attached to ends.
class Attachment {
 public:
  // Null: there is no service.
  explicit Attachment(coordinator::Service* service) : service_(service) {}
  ~Attachment() {
    if (service_ != nullptr) service_->detach();
  }
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

 private:
  coordinator::Service* service_;
};

}  // namespace anchorage::launch
