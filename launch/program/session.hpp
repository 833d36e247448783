// What every subcommand starts from: the ranks, the device, the threads, and where results go.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/log.hpp"
#include "io/model/model_config.hpp"
#include "io/run/run_record.hpp"
#include "worker/communicators.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::launch {

struct SessionOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string device = "auto";  // auto: a GPU where there is one
  std::string dtype = "auto";   // auto: the checkpoint's own
  int threads = 0;              // a rank; 0: the machine's cores divided by the ranks on it
  double deadline = 120;        // seconds that a rank waits for the others
  int stages = 0;               // that share a model; 0: chosen by the memory there is
  bool computes = true;         // false: threads are only asked about, not taken
};

// Adds the options that all subcommands share.
void add_session_options(CLI::App& command, SessionOptions& options);

// For those that load a model: adds --stages.
void add_stages_option(CLI::App& command, SessionOptions& options);

// Bytes of one weight as it is loaded: in the dtype that is asked for, else in that of the checkpoint.
std::int64_t weight_bytes(const io::ModelConfig& model, const std::optional<torch::ScalarType>& dtype);

class Session {
 public:
  // Not collective; every rank makes one. Takes over the communicator of all ranks; `abandon_job` ends them all
  // with an exit code.
  Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host,
          std::function<void(int)> abandon_job);

  // Parts the ranks into stages x replicas; stage s holds layers_of[s]. Once, before a model is loaded. Collective.
  void arrange(std::vector<sharding::Range> layers_of);

  sharding::HostCommunicator& host() { return *host_; }
  // Collective the first time, where the ranks have not been arranged: then each holds the whole model.
  worker::Communicators communicators();
  worker::Stages stages() const;
  sharding::Place place() const { return groups_->place; }
  int asked_stages() const { return options_.stages; }
  // What went between the replicas, tensors and host values, and between the stages of this one.
  const sharding::TrafficByOperation& peer_traffic() const { return groups_->peers->traffic(); }
  const sharding::TrafficByOperation& peer_host_traffic() const { return groups_->peers_host->traffic(); }
  const sharding::TrafficByOperation& stage_traffic() const { return groups_->replica->traffic(); }
  bool is_root() const { return host_->rank() == 0; }
  bool json() const { return options_.json; }
  const torch::Device& device() const { return device_; }
  std::optional<torch::ScalarType> dtype() const { return dtype_; }
  const std::string& dtype_name() const { return options_.dtype; }  // as asked for
  int threads() const { return threads_; }
  // Ends all ranks at once, from whatever thread. What they are at is dropped.
  void abandon_job(int exit_code) const { abandon_job_(exit_code); }
  // Device, dtype and threads as the run has them, for they decide on rounding. A device that was asked for is
  // another one on purpose; another dtype throws io::UserError.
  void go_on_as(const io::RunRecord& run);
  void use_threads(int threads);  // of this rank

  // On rank 0: prints to stdout.
  void print(const std::string& text) const;
  void print(const nlohmann::json& document) const { print(document.dump() + "\n"); }

 private:
  void use_device(const std::string& name);
  void form_groups(int stages);  // throws as sharding::check_rank_devices; collective

  SessionOptions options_;
  std::unique_ptr<sharding::HostCommunicator> host_;
  std::function<void(int)> abandon_job_;
  torch::Device device_;
  std::optional<torch::ScalarType> dtype_;
  int threads_ = 1;
  std::optional<sharding::RankGroups> groups_;  // once arranged
  std::vector<sharding::Range> layers_of_;
};

}  // namespace anchorage::launch
