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

namespace anchorage::sharding {
namespace {

// Ends the wait for ranks that do not come back for the shutdown.
constexpr Seconds farewell{5};

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
                 Patience patience) override {
    run(operation, patience, [&](cudaStream_t stream) {
      for (std::size_t i = 0; i < roots.size(); ++i) {
        started(ncclBroadcast(data_of(tensors[i]), data_of(tensors[i]), tensors[i].nbytes(), ncclUint8, roots[i],
                              communicator_, stream),
                "ncclBroadcast", operation);
      }
    });
  }

  void sum(const torch::Tensor& tensor, std::string_view operation) override {
    run(operation, Patience::until_deadline, [&](cudaStream_t stream) {
      started(ncclAllReduce(data_of(tensor), data_of(tensor), static_cast<std::size_t>(tensor.numel()), ncclInt64,
                            ncclSum, communicator_, stream),
              "ncclAllReduce", operation);
    });
  }

  void send_to(std::span<const int> to, const torch::Tensor& tensor, std::string_view operation) override {
    run(operation, Patience::until_deadline, [&](cudaStream_t stream) {
      for (const int rank : to) {
        started(ncclSend(data_of(tensor), tensor.nbytes(), ncclUint8, rank, communicator_, stream), "ncclSend",
                operation);
      }
    });
  }

  void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) override {
    run(operation, Patience::until_deadline, [&](cudaStream_t stream) {
      started(ncclRecv(data_of(tensor), tensor.nbytes(), ncclUint8, from, communicator_, stream), "ncclRecv",
              operation);
    });
  }

  // Every rank gets here, also when rank 0 has no id to give: the others are told by an empty one.
  void connect() {
    constexpr std::string_view operation = "connect NCCL";
    ncclUniqueId id{};
    ncclResult_t result = ncclSuccess;
    HostCommunicator::Bytes bytes;
    if (rank() == 0) {
      result = ncclGetUniqueId(&id);
      const auto content = std::as_bytes(std::span(id.internal));
      if (result == ncclSuccess) bytes.assign(content.begin(), content.end());
    }
    host().broadcast(bytes, 0, operation);
    if (bytes.size() != sizeof(id)) fail(result, "ncclGetUniqueId on rank 0", operation);
    std::memcpy(&id, bytes.data(), sizeof(id));

    std::optional<c10::DeviceGuard> guard;
    if (torch::cuda::is_available()) guard.emplace(device());  // where it is not, NCCL tells why
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    started(ncclCommInitRankConfig(&communicator_, size(), id, rank(), &config), "ncclCommInitRankConfig",
            operation);
    const Deadline deadline(operation, rank(), host().deadline());
    settle(deadline);
  }

  // Enqueues on the current stream and waits until it has been done there.
  template <typename Enqueue>
  void run(std::string_view operation, Patience patience, Enqueue enqueue) {
    io::check(
        communicator_ != nullptr,
        fmt::format("'{}' uses a communicator of rank {} on which an earlier operation failed", operation, rank()));
    const Deadline deadline(operation, rank(), patience.of(host().deadline()));
    const c10::DeviceGuard guard(device());
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device().type()).getStream(device());
    started(ncclGroupStart(), "ncclGroupStart", operation);
    enqueue(static_cast<cudaStream_t>(stream.native_handle()));
    started(ncclGroupEnd(), "ncclGroupEnd", operation);
    settle(deadline);
    while (!stream.query()) settle(deadline, Look::once);
  }

  enum class Look { until_settled, once };

  // A call on a communicator that does not block is under way until NCCL says otherwise here.
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

  void started(ncclResult_t result, std::string_view call, std::string_view operation) {
    if (result != ncclSuccess && result != ncclInProgress) fail(result, call, operation);
  }

  // NCCL's text is asked for before the abort takes it away.
  [[noreturn]] void fail(ncclResult_t result, std::string_view call, std::string_view operation) {
    const std::string message =
        fmt::format("expected '{}' to succeed, found '{}' from {} on rank {} ({}); see NCCL_DEBUG=WARN for more",
                    operation, ncclGetErrorString(result), call, rank(), ncclGetLastError(communicator_));
    abort();
    throw CollectiveError(operation, message);
  }

  void abort() noexcept {
    if (communicator_ != nullptr) ncclCommAbort(communicator_);
    communicator_ = nullptr;
  }

  void close() noexcept {
    if (communicator_ == nullptr) return;
    ncclResult_t state = std::uncaught_exceptions() > 0 ? ncclRemoteError : ncclCommFinalize(communicator_);
    const Deadline deadline("close NCCL", rank(), farewell);
    while (state == ncclInProgress && !deadline.passed()) {
      if (ncclCommGetAsyncError(communicator_, &state) != ncclSuccess) break;
      pause_between_polls(deadline.elapsed());
    }
    if (state == ncclSuccess) {
      ncclCommDestroy(communicator_);
    } else {
      ncclCommAbort(communicator_);
    }
  }

  ncclComm_t communicator_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host,
                                                           torch::Device device) {
  io::check(device.is_cuda() && device.has_index(),
            fmt::format("NCCL moves tensors on CUDA devices, given with their index, got '{}'", device.str()));
  return std::make_unique<NcclCommunicator>(std::move(host), device);
}

}  // namespace anchorage::sharding
