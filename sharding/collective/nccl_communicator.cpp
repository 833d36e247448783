#include "sharding/collective/nccl_communicator.hpp"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <torch/cuda.h>

#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "io/error.hpp"
#include "sharding/collective/watchdog.hpp"

namespace anchorage::sharding {
namespace {

// Limits the wait for ranks that do not arrive at the shutdown.
constexpr Seconds shutdown_timeout{5};

void* data_of(const torch::Tensor& tensor) {
  return tensor.data_ptr();
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device)
      : DeviceCommunicator(std::move(host), device) {
    connect();
  }

  ~NcclCommunicator() override { close(); }

 private:
  void copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors, std::string_view operation,
                 Timeout timeout) override {
    run("ncclBroadcast", operation, timeout, [&](cudaStream_t stream) {
      ncclResult_t result = ncclSuccess;
      for (std::size_t i = 0; i < roots.size() && started(result); ++i) {
        result = ncclBroadcast(data_of(tensors[i]), data_of(tensors[i]), tensors[i].nbytes(), ncclUint8, roots[i],
                               communicator_, stream);
      }
      return result;
    });
  }

  void sum(const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclAllReduce", operation, Timeout::until_deadline, [&](cudaStream_t stream) {
      return ncclAllReduce(data_of(tensor), data_of(tensor), static_cast<std::size_t>(tensor.numel()), ncclInt64,
                           ncclSum, communicator_, stream);
    });
  }

  void send_to(std::span<const int> to, const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclSend", operation, Timeout::until_deadline, [&](cudaStream_t stream) {
      ncclResult_t result = ncclSuccess;
      for (std::size_t i = 0; i < to.size() && started(result); ++i) {
        result = ncclSend(data_of(tensor), tensor.nbytes(), ncclUint8, to[i], communicator_, stream);
      }
      return result;
    });
  }

  void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclRecv", operation, Timeout::until_deadline, [&](cudaStream_t stream) {
      return ncclRecv(data_of(tensor), tensor.nbytes(), ncclUint8, from, communicator_, stream);
    });
  }

  // Every rank gets here, even when rank 0 has no id: the others then get NCCL's error instead.
  void connect() {
    constexpr std::string_view operation = "connect NCCL";
    ncclUniqueId id{};
    ncclResult_t result = ncclSuccess;
    HostCommunicator::Bytes bytes;
    if (rank() == 0) {
      result = ncclGetUniqueId(&id);
      const auto content =
          result == ncclSuccess ? std::as_bytes(std::span(id.internal)) : std::as_bytes(std::span(&result, 1));
      bytes.assign(content.begin(), content.end());
    }
    host().broadcast(bytes, 0, operation);
    if (bytes.size() != sizeof(id)) {
      std::memcpy(&result, bytes.data(), sizeof(result));
      fail(result, "ncclGetUniqueId on rank 0", operation);
    }
    std::memcpy(&id, bytes.data(), sizeof(id));

    std::optional<c10::DeviceGuard> guard;
    if (torch::cuda::is_available()) guard.emplace(device());  // otherwise NCCL says why
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    result = ncclCommInitRankConfig(&communicator_, size(), id, rank(), &config);
    if (!started(result)) fail(result, "ncclCommInitRankConfig", operation);
    const Deadline deadline(operation, rank(), host().deadline());
    settle(deadline);
  }

  // Enqueues on the current stream and waits until the stream has done it. Ends a group that was begun even
  // when a call in it fails: aborting a communicator would wait inside an open group.
  template <typename Enqueue>
  void run(std::string_view call, std::string_view operation, Timeout timeout, Enqueue enqueue) {
    io::check(
        communicator_ != nullptr,
        fmt::format("'{}' uses a communicator of rank {} on which an earlier operation failed", operation, rank()));
    const Deadline deadline(operation, rank(), timeout.of(host().deadline()));
    const c10::DeviceGuard guard(device());
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device().type()).getStream(device());
    if (const auto begun = ncclGroupStart(); !started(begun)) fail(begun, "ncclGroupStart", operation);
    const ncclResult_t enqueued = enqueue(static_cast<cudaStream_t>(stream.native_handle()));
    const ncclResult_t ended = ncclGroupEnd();
    if (!started(enqueued)) fail(enqueued, call, operation);
    if (!started(ended)) fail(ended, call, operation);
    settle(deadline);
    while (!done(stream, operation)) settle(deadline, Look::once);
  }

  // Throws errors of the GPU, from this operation or from earlier work.
  bool done(const c10::Stream& stream, std::string_view operation) {
    try {
      return stream.query();
    } catch (const c10::Error& error) {
      abort();
      throw CollectiveError(operation, fmt::format("expected '{}' to be done on {}, found '{}'", operation,
                                                   device().str(), error.what_without_backtrace()));
    }
  }

  enum class Look { until_settled, once };

  // A call on a nonblocking communicator is in flight until NCCL says otherwise here.
  void settle(const Deadline& deadline, Look look = Look::until_settled) {
    while (true) {
      ncclResult_t state = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &state);
      if (asked != ncclSuccess) fail(asked, "ncclCommGetAsyncError", deadline.operation());
      if (state != ncclSuccess && state != ncclInProgress) fail(state, "a rank", deadline.operation());
      if (deadline.passed()) {
        abort();
        deadline.fail("the other ranks in NCCL");
      }
      if (state == ncclSuccess && look == Look::until_settled) return;
      pause_between_polls(deadline.elapsed());
      if (look == Look::once) return;
    }
  }

  static bool started(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }

  // Reads NCCL's text before the abort deletes it.
  [[noreturn]] void fail(ncclResult_t result, std::string_view call, std::string_view operation) {
    const std::string message =
        fmt::format("expected '{}' to succeed, found '{}' from {} on rank {} ({}); see NCCL_DEBUG=WARN for more",
                    operation, ncclGetErrorString(result), call, rank(), ncclGetLastError(communicator_));
    abort();
    throw CollectiveError(operation, message);
  }

  void abort() noexcept { free_by(ncclCommAbort, "abort NCCL"); }

  // Frees the communicator; the call waits for the GPU and cannot be polled.
  void free_by(ncclResult_t (*call)(ncclComm_t), std::string_view operation) noexcept {
    if (communicator_ == nullptr) return;
    const Deadline deadline(operation, rank(), host().deadline());
    const Watchdog watchdog(deadline, "the GPU");
    call(std::exchange(communicator_, nullptr));
  }

  void close() noexcept {
    if (communicator_ == nullptr) return;
    ncclResult_t state = std::uncaught_exceptions() > 0 ? ncclRemoteError : ncclCommFinalize(communicator_);
    const Deadline deadline("close NCCL", rank(), shutdown_timeout);
    while (state == ncclInProgress && !deadline.passed()) {
      if (ncclCommGetAsyncError(communicator_, &state) != ncclSuccess) break;
      pause_between_polls(deadline.elapsed());
    }
    state == ncclSuccess ? free_by(ncclCommDestroy, "close NCCL") : abort();
  }

  ncclComm_t communicator_ = nullptr;
};

}  // namespace

std::string nccl_library_version() {
  int version = 0;
  io::check(ncclGetVersion(&version) == ncclSuccess, "NCCL does not tell its version");
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host,
                                                           torch::Device device) {
  io::check(device.is_cuda() && device.has_index(),
            fmt::format("NCCL moves tensors on CUDA devices, given with their index, got '{}'", device.str()));
  return std::make_unique<NcclCommunicator>(std::move(host), device);
}

}  // namespace anchorage::sharding
