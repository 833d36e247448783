// What every subcommand starts from: the ranks, the device, the threads, and where results go.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/log.hpp"
#include "worker/ranks.hpp"

namespace anchorage::launch {

struct SessionOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string device = "auto";  // auto: a GPU where there is one
  std::string dtype = "auto";   // auto: the checkpoint's own
  int threads = 0;              // a rank; 0: the machine's cores divided by the ranks on it
  double deadline = 120;        // seconds that a rank waits for the others
};

// Adds the options that all subcommands share.
void add_session_options(CLI::App& command, SessionOptions& options);

class Session {
 public:
  // Collective. Takes over the communicator of all ranks.
  Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host);

  sharding::HostCommunicator& host() { return *host_; }
  worker::Ranks ranks() { return {*host_, *ranks_}; }
  bool is_root() const { return host_->rank() == 0; }
  bool json() const { return options_.json; }
  const torch::Device& device() const { return device_; }
  std::optional<torch::ScalarType> dtype() const { return dtype_; }
  int threads() const { return threads_; }
  void set_threads(int threads);  // of this rank; a resumed run asks for those it began with

  // On rank 0: prints to stdout.
  void print(const std::string& text) const;
  void print(const nlohmann::json& document) const { print(document.dump() + "\n"); }

 private:
  SessionOptions options_;
  std::unique_ptr<sharding::HostCommunicator> host_;
  torch::Device device_;
  std::optional<torch::ScalarType> dtype_;
  int threads_ = 1;
  std::unique_ptr<sharding::DeviceCommunicator> ranks_;
};

}  // namespace anchorage::launch
