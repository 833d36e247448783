// What every command starts from: ranks, device, threads, and output.
//
// This header includes no torch on purpose: commands that need no tensors are compiled without it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/model/dtype.hpp"
#include "sharding/activities.hpp"
#include "sharding/collective/traffic.hpp"
#include "sharding/stage_layers.hpp"
#include "sharding/topology.hpp"

namespace c10 {
struct Device;
}

namespace anchorage::io {
struct ModelConfig;
struct RunRecord;
}  // namespace anchorage::io

namespace anchorage::sharding {
class HostCommunicator;
}

namespace anchorage::worker {
struct Communicators;
class DeviceActivities;
class Stages;
}  // namespace anchorage::worker

namespace anchorage::launch {

struct SessionOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string device = "auto";                   // auto: a GPU if there is one
  std::string dtype = "auto";                    // auto: the checkpoint's own
  int threads = 0;                               // per rank; 0: the machine's cores divided by the ranks on it
  double deadline = 120;                         // seconds that a rank waits for others
  int stages = 0;                                // stages that share a model; 0: chosen by the available memory
  std::vector<std::string> reference_kernels{};  // that do not run in their fused form (worker/kernels/forms.hpp)
  bool computes = true;                          // false: the number of threads is determined but not applied
};

// Returns the dtype of weights as loaded: the requested one, else that of the checkpoint.
io::DType loaded_dtype(const io::ModelConfig& model, const std::optional<io::DType>& dtype);
// Returns its bytes.
std::int64_t weight_bytes(const io::ModelConfig& model, const std::optional<io::DType>& dtype);

class Session {
 public:
  // Every rank constructs one; not collective. Takes over the communicator of all ranks; `abandon_job` ends
  // them all with an exit code.
  Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host,
          std::function<void(int)> abandon_job);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Divides the ranks into stages x replicas; stage s holds layers_of[s]. Call it once, before a model is
  // loaded. Collective.
  void arrange(std::vector<sharding::StageLayers> layers_of);

  sharding::HostCommunicator& host() const;
  // Returns the communicators. Where the ranks have not been arranged, the first call is collective and each
  // rank holds the whole model.
  worker::Communicators communicators();
  worker::Stages stages() const;
  sharding::Place place() const;
  int asked_stages() const { return options_.stages; }
  // Traffic between the replicas, of tensors and of host values, between the stages of this rank's replica, and
  // between all ranks where these are neither (otherwise nothing: it is counted there).
  const sharding::TrafficByOperation& peer_traffic() const;
  const sharding::TrafficByOperation& peer_host_traffic() const;
  const sharding::TrafficByOperation& stage_traffic() const;
  sharding::TrafficByOperation world_traffic() const;
  // Where this rank's waits are counted, once the activities have been started.
  sharding::Activities& activities() { return activities_; }
  // The same as the device has them; listens to the activities.
  worker::DeviceActivities& device_activities() const;
  bool is_root() const;
  bool json() const { return options_.json; }
  bool is_quiet() const { return options_.quiet; }
  const c10::Device& device() const;
  bool is_on_gpu() const;
  std::optional<std::int64_t> device_memory() const;  // bytes of a GPU; nothing for a CPU
  std::optional<io::DType> dtype() const { return dtype_; }
  const std::string& dtype_name() const { return options_.dtype; }  // as requested
  int threads() const { return threads_; }
  // Ends all ranks at once, from any thread. Their work is dropped.
  void abandon_job(int exit_code) const { abandon_job_(exit_code); }
  const std::vector<std::string>& reference_kernels() const { return options_.reference_kernels; }
  // Takes device, dtype, threads and kernels from the run, since they affect rounding. A device that the user
  // requests overrides the run's; another dtype throws io::UserError.
  void continue_as(const io::RunRecord& run);
  void use_threads(int threads);  // sets this rank's threads

  // Prints to stdout on rank 0.
  void print(const std::string& text) const;
  void print(const nlohmann::json& document) const;

 private:
  struct Placement;  // the device and the groups of ranks
  void use_device(const std::string& name);
  void form_groups(int stages);  // throws as sharding::check_rank_devices does; collective

  SessionOptions options_;
  sharding::Activities activities_;  // before the communicators, which borrow it
  std::unique_ptr<sharding::HostCommunicator> host_;
  std::function<void(int)> abandon_job_;
  std::optional<io::DType> dtype_;
  int threads_ = 1;
  std::vector<sharding::StageLayers> layers_of_;
  std::unique_ptr<Placement> placement_;
};

}  // namespace anchorage::launch
