// The work directory of `anchorage tune`: what is finished is kept there, so that a tuning that was interrupted
// repeats none of it.
//
//   inputs.json            what the results depend on
//   threads.json           of each rank, which affect rounding
//   before.json            figures of the unedited model
//   trace.json             the causal trace
//   statistics.h5          second moments of the candidate layers, unless a file of them was given
//   trials/<digest>.json   settings and figures of a finished trial, by the digest of its hyper-parameters
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/run/run_lock.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

class WorkDirectory {
 public:
  // Opens the directory on rank 0, where it creates it or finds that of an earlier call, and locks it; `inputs` is
  // an object of texts and numbers. Throws io::UserError where another process tunes there, where the inputs are
  // not those that it was created for, and where the directory holds something else.
  WorkDirectory(std::filesystem::path path, const nlohmann::json& inputs, sharding::HostCommunicator& ranks);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path statistics() const { return path_ / "statistics.h5"; }

  // Returns a document that was kept under this name, on every rank; otherwise computes it, on every rank, and
  // keeps rank 0's. `on_found` is called in the first case. Collective.
  nlohmann::json kept(const std::string& name, const std::function<nlohmann::json()>& compute,
                      const std::function<void()>& on_found = {}) const;

 private:
  void open(const nlohmann::json& inputs);
  std::filesystem::path file(const std::string& name) const { return path_ / (name + ".json"); }

  std::filesystem::path path_;
  sharding::HostCommunicator& ranks_;
  std::optional<io::RunLock> lock_;  // on rank 0
};

}  // namespace anchorage::launch
