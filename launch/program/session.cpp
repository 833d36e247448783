#include "launch/program/session.hpp"

#include <fmt/format.h>
#include <torch/utils.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>
#include <utility>

#include "io/error.hpp"
#include "io/host_name.hpp"
#include "io/log.hpp"
#include "io/model/model_config.hpp"
#include "io/run/run_record.hpp"
#include "io/text/text_of.hpp"
#include "launch/program/rank_environment.hpp"
#include "sharding/collective/rank_groups.hpp"
#include "sharding/rank_devices.hpp"
#include "worker/communicators.hpp"
#include "worker/device.hpp"
#include "worker/device_activities.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::launch {
namespace {

torch::Device device_named(const std::string& name) {
  return worker::take_device(name, rank_on_machine(process_environment));
}

// Identifies the machine as NCCL does: by host name and boot, unless NCCL_HOSTID gives a name.
std::string this_machine() {
  if (const char* named = std::getenv("NCCL_HOSTID")) return named;
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  return fmt::format("{} (boot {:.8})", io::host_name(), boot);
}

std::optional<io::DType> dtype_named(const std::string& name) {
  static constexpr std::pair<std::string_view, io::DType> dtypes[] = {
      {"fp32", io::DType::f32}, {"bf16", io::DType::bf16}, {"fp16", io::DType::f16}};
  if (name == "auto") return std::nullopt;
  for (const auto& [known, dtype] : dtypes) {
    if (known == name) return dtype;
  }
  throw io::UserError({.expected = "auto, fp32, bf16 or fp16", .found = name, .where = "dtype", .remedy = ""});
}

}  // namespace

struct Session::Placement {
  torch::Device device = torch::kCPU;
  std::optional<sharding::RankGroups> groups;  // once arranged
  std::unique_ptr<worker::DeviceActivities> activities;
};

io::DType loaded_dtype(const io::ModelConfig& model, const std::optional<io::DType>& dtype) {
  return dtype.value_or(model.dtype.value_or(io::DType::f32));
}

std::int64_t weight_bytes(const io::ModelConfig& model, const std::optional<io::DType>& dtype) {
  return static_cast<std::int64_t>(io::size_of(loaded_dtype(model, dtype)));
}

Session::Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host,
                 std::function<void(int)> abandon_job)
    : options_(options),
      host_(std::move(host)),
      abandon_job_(std::move(abandon_job)),
      dtype_(dtype_named(options.dtype)),
      placement_(std::make_unique<Placement>()) {
  host_->record_in(activities_);
  const auto verbosity = options_.verbose ? io::Verbosity::verbose
                         : options_.quiet ? io::Verbosity::quiet
                                          : io::Verbosity::normal;
  io::start_log(host_->rank(), verbosity);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  use_threads(options_.threads > 0 ? options_.threads : cores_per_rank(process_environment, cores));
  use_device(options_.device);
}

void Session::use_device(const std::string& name) {
  placement_->device = device_named(name);
  placement_->activities = std::make_unique<worker::DeviceActivities>(placement_->device);
  activities_.listen_with(placement_->activities.get());
}

worker::DeviceActivities& Session::device_activities() const {
  return *placement_->activities;
}

Session::~Session() = default;

sharding::HostCommunicator& Session::host() const {
  return *host_;
}

bool Session::is_root() const {
  return host_->rank() == 0;
}

const c10::Device& Session::device() const {
  return placement_->device;
}

bool Session::is_on_gpu() const {
  return placement_->device.is_cuda();
}

std::optional<std::int64_t> Session::device_memory() const {
  return worker::memory_of(placement_->device);
}

sharding::Place Session::place() const {
  return placement_->groups->place;
}

const sharding::TrafficByOperation& Session::peer_traffic() const {
  return placement_->groups->peers->traffic();
}

const sharding::TrafficByOperation& Session::peer_host_traffic() const {
  return placement_->groups->peers_host->traffic();
}

const sharding::TrafficByOperation& Session::stage_traffic() const {
  return placement_->groups->replica->traffic();
}

sharding::TrafficByOperation Session::world_traffic() const {
  const auto& apart = placement_->groups->apart;
  return apart ? apart->traffic() : sharding::TrafficByOperation{};
}

void Session::form_groups(int stages) {
  const torch::Device& device = placement_->device;
  const std::string own = nlohmann::json{this_machine(), worker::address_of(device)}.dump();
  std::vector<sharding::RankDevice> devices;
  for (const auto& bytes : host_->all_gather(std::as_bytes(std::span(own)), "gather devices")) {
    const auto one = nlohmann::json::parse(io::text_of(bytes));
    devices.push_back({.machine = one[0], .gpu = one[1]});
  }
  sharding::check_rank_devices(devices);
  const sharding::Topology topology(stages, host_->size() / stages);
  placement_->groups = sharding::form_rank_groups(*host_, topology, device);
}

void Session::continue_as(const io::RunRecord& run) {
  use_threads(static_cast<int>(run.threads));
  if (options_.device == "auto") use_device(run.device);
  if (options_.dtype != "auto" && options_.dtype != run.dtype) {
    throw io::UserError({.expected = fmt::format("the dtype that the run began with, {}", run.dtype),
                         .found = options_.dtype,
                         .where = "--dtype",
                         .remedy = "leave it out, or begin a new run"});
  }
  dtype_ = dtype_named(run.dtype);
  options_.reference_kernels = run.reference_kernels;
}

void Session::arrange(std::vector<sharding::StageLayers> layers_of) {
  const auto stages = static_cast<int>(layers_of.size());
  layers_of_ = std::move(layers_of);
  form_groups(stages);
}

worker::Communicators Session::communicators() {
  if (!placement_->groups) form_groups(1);
  return {*placement_->groups, *host_};
}

worker::Stages Session::stages() const {
  if (layers_of_.empty()) return {};
  return {layers_of_, *placement_->groups->replica};
}

void Session::use_threads(int threads) {
  threads_ = threads;
  if (options_.computes) torch::set_num_threads(threads);
}

void Session::print(const std::string& text) const {
  if (is_root()) std::fwrite(text.data(), 1, text.size(), stdout);
}

void Session::print(const nlohmann::json& document) const {
  print(document.dump() + "\n");
}

}  // namespace anchorage::launch
