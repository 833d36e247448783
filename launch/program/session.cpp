#include "launch/program/session.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include <unistd.h>

#include "io/error.hpp"
#include "io/text/text_of.hpp"
#include "launch/program/number_checks.hpp"
#include "sharding/rank_devices.hpp"

namespace anchorage::launch {
namespace {

// Communicators on this machine and this rank's number among them, as mpirun or Slurm says; alone otherwise.
int environment_number(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) return std::atoi(value);
  }
  return otherwise;
}

int ranks_here() {
  return environment_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE"}, 1);
}
int rank_here() {
  return environment_number({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"}, 0);
}
// What Slurm gives a task; elsewhere, and where nobody asked for that, a fair share of the cores.
int cores_per_rank() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency()) / ranks_here();
  return std::max(1, environment_number({"SLURM_CPUS_PER_TASK"}, cores));
}

torch::Device chosen_device(const std::string& name) {
  const torch::DeviceIndex gpus = torch::cuda::device_count();
  if (name == "cpu" || (name == "auto" && gpus == 0)) return torch::kCPU;
  if (gpus == 0) {
    throw io::UserError({.expected = "a CUDA device",
                         .found = "none",
                         .where = "--device " + name,
                         .remedy = "run with --device cpu, or check the driver with nvidia-smi"});
  }
  return {torch::kCUDA, static_cast<torch::DeviceIndex>(rank_here() % gpus)};
}

// Repeatable, and with sums as precise as on the CPU. Not collective.
void prepare_cuda(const torch::Device& device) {
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(device.is_cuda(), /*warn_only=*/true);
  if (!device.is_cuda()) return;
  context.setDeterministicFillUninitializedMemory(false);  // nothing is read before it is written
  context.setFloat32MatmulPrecision("highest");
  context.setAllowBF16ReductionCuBLAS(false);
  context.setAllowFP16ReductionCuBLAS(false);
  cudaSetDevice(device.index());
}

// As NCCL says machines and GPUs apart: by host name and boot, unless NCCL_HOSTID names one, and by PCI address.
std::string this_machine() {
  if (const char* named = std::getenv("NCCL_HOSTID")) return named;
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  return fmt::format("{} (boot {:.8})", name.data(), boot);
}
std::string address_of(const torch::Device& device) {
  if (!device.is_cuda()) return "";
  std::array<char, 32> address{};
  if (cudaDeviceGetPCIBusId(address.data(), address.size(), device.index()) != cudaSuccess) return device.str();
  return address.data();
}

std::optional<torch::ScalarType> chosen_dtype(const std::string& name) {
  static const std::map<std::string, torch::ScalarType> dtypes = {
      {"fp32", torch::kFloat}, {"bf16", torch::kBFloat16}, {"fp16", torch::kHalf}};
  if (name == "auto") return std::nullopt;
  if (const auto known = dtypes.find(name); known != dtypes.end()) return known->second;
  throw io::UserError({.expected = "auto, fp32, bf16 or fp16", .found = name, .where = "dtype", .remedy = ""});
}

}  // namespace

void add_session_options(CLI::App& command, SessionOptions& options) {
  command.add_flag("--json", options.json, "print JSON: one document, of 'score' one a request");
  command.add_flag("--quiet", options.quiet, "log warnings and errors only");
  command.add_flag("--verbose", options.verbose, "log what every rank does");
  command.add_option("--device", options.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command.add_option("--dtype", options.dtype, "of the weights: auto (as in the model), fp32, bf16 or fp16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16", "fp16"}));
  command
      .add_option(
          "--threads", options.threads,
          "of each rank; 0: the CPUs that Slurm gives a task, else the cores divided by the ranks on the machine")
      ->check(whole_number(0, most_threads));
  command.add_option("--deadline", options.deadline, "seconds that a rank waits for the others")
      ->check(number_above_zero());
}

void add_stages_option(CLI::App& command, SessionOptions& options) {
  command
      .add_option("--stages", options.stages,
                  "ranks that share a model, each with some of its layers; not given: as few as the GPUs' memory "
                  "allows, and one on CPUs")
      ->check(whole_number(1, most_ranks));
}

std::int64_t weight_bytes(const io::ModelConfig& model, const std::optional<torch::ScalarType>& dtype) {
  if (dtype) return static_cast<std::int64_t>(torch::elementSize(*dtype));
  return model.dtype && *model.dtype != io::DType::f32 ? 2 : 4;
}

Session::Session(const SessionOptions& options, std::unique_ptr<sharding::HostCommunicator> host,
                 std::function<void(int)> abandon_job)
    : options_(options),
      host_(std::move(host)),
      abandon_job_(std::move(abandon_job)),
      device_(torch::kCPU),
      dtype_(chosen_dtype(options.dtype)) {
  const auto verbosity = options_.verbose ? io::Verbosity::verbose
                         : options_.quiet ? io::Verbosity::quiet
                                          : io::Verbosity::normal;
  io::start_log(host_->rank(), verbosity);
  use_threads(options_.threads > 0 ? options_.threads : cores_per_rank());
  use_device(options_.device);
}

void Session::use_device(const std::string& name) {
  device_ = chosen_device(name);
  prepare_cuda(device_);
}

void Session::form_groups(int stages) {
  const std::string own = nlohmann::json{this_machine(), address_of(device_)}.dump();
  std::vector<sharding::RankDevice> devices;
  for (const auto& bytes : host_->all_gather(std::as_bytes(std::span(own)), "gather devices")) {
    const auto device = nlohmann::json::parse(io::text_of(bytes));
    devices.push_back({.machine = device[0], .gpu = device[1]});
  }
  sharding::check_rank_devices(devices);
  groups_ = sharding::form_rank_groups(*host_, sharding::Topology(stages, host_->size() / stages), device_);
}

void Session::go_on_as(const io::RunRecord& run) {
  use_threads(static_cast<int>(run.threads));
  if (options_.device == "auto") use_device(run.device);
  if (options_.dtype != "auto" && options_.dtype != run.dtype) {
    throw io::UserError({.expected = fmt::format("the dtype that the run began with, {}", run.dtype),
                         .found = options_.dtype,
                         .where = "--dtype",
                         .remedy = "leave it out, or begin a new run"});
  }
  dtype_ = chosen_dtype(run.dtype);
}

void Session::arrange(std::vector<sharding::Range> layers_of) {
  const auto stages = static_cast<int>(layers_of.size());
  layers_of_ = std::move(layers_of);
  form_groups(stages);
}

worker::Communicators Session::communicators() {
  if (!groups_) form_groups(1);
  return {*groups_, *host_};
}

worker::Stages Session::stages() const {
  if (layers_of_.empty()) return {};
  return {layers_of_, *groups_->replica};
}

void Session::use_threads(int threads) {
  threads_ = threads;
  if (options_.computes) torch::set_num_threads(threads);
}

void Session::print(const std::string& text) const {
  if (is_root()) std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace anchorage::launch
