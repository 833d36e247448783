// What every command starts from: the ranks, the device, the threads, and where results go.
//
// Light on purpose: commands that need no tensors are compiled without torch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/model/dtype.hpp"
#include "sharding/collective/traffic.hpp"
#include "sharding/range.hpp"
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
class Stages;
}  // namespace anchorage::worker

namespace anchorage::launch {

struct SessionOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string device = "auto";  // auto: a GPU where there is one
  std::string dtype = "auto";   // auto: the checkpoint's own
  int threads = 0;              // per rank; 0: the machine's cores divided by the ranks on it
  double deadline = 120;        // seconds that a rank waits for the others
  int stages = 0;               // that share a model; 0: chosen by the memory there is
  bool computes = true;         // false: threads are only asked about, not taken
};

// Bytes of one weight as it is loaded: in the dtype that is asked for, else in that of the checkpoint.
std::int64_t weight_bytes(const io::ModelConfig& model, const std::optional<io::DType>& dtype);

class Session {
 public:
  // Not collective; every rank makes one. Takes over the communicator of all ranks; `abandon_job` ends them all
  // with an exit code.
  Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host,
          std::function<void(int)> abandon_job);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Parts the ranks into stages x replicas; stage s holds layers_of[s]. Once, before a model is loaded. Collective.
  void arrange(std::vector<sharding::Range> layers_of);

  sharding::HostCommunicator& host() const;
  // Collective the first time, where the ranks have not been arranged: then each holds the whole model.
  worker::Communicators communicators();
  worker::Stages stages() const;
  sharding::Place place() const;
  int asked_stages() const { return options_.stages; }
  // What went between the replicas, tensors and host values, and between the stages of this one.
  const sharding::TrafficByOperation& peer_traffic() const;
  const sharding::TrafficByOperation& peer_host_traffic() const;
  const sharding::TrafficByOperation& stage_traffic() const;
  bool is_root() const;
  bool json() const { return options_.json; }
  const c10::Device& device() const;
  bool is_on_gpu() const;
  std::optional<std::int64_t> device_memory() const;  // bytes of a GPU; nothing of a CPU
  std::optional<io::DType> dtype() const { return dtype_; }
  const std::string& dtype_name() const { return options_.dtype; }  // as asked for
  int threads() const { return threads_; }
  // Ends all ranks at once, from whatever thread. What they are doing is dropped.
  void abandon_job(int exit_code) const { abandon_job_(exit_code); }
  // Takes device, dtype and threads as the run has them, for they decide on rounding. A device that was asked for
  // is another one on purpose; another dtype throws io::UserError.
  void continue_as(const io::RunRecord& run);
  void use_threads(int threads);  // of this rank

  // On rank 0: prints to stdout.
  void print(const std::string& text) const;
  void print(const nlohmann::json& document) const;

 private:
  struct Placement;              // device and groups of ranks
  void form_groups(int stages);  // throws as sharding::check_rank_devices; collective

  SessionOptions options_;
  std::unique_ptr<sharding::HostCommunicator> host_;
  std::function<void(int)> abandon_job_;
  std::optional<io::DType> dtype_;
  int threads_ = 1;
  std::vector<sharding::Range> layers_of_;
  std::unique_ptr<Placement> placement_;
};

}  // namespace anchorage::launch
