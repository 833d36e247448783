#include "sharding/collective/nccl_communicator.hpp"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <torch/cuda.h>

#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <string>
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

// Says what NCCL refused, with its own last words where it has some: the text is one for the whole process, and
// another rank in it may be writing it.
std::string refusal(std::string_view operation, ncclResult_t result, std::string_view call, int rank,
                    ncclComm_t communicator) {
  const std::string words = ncclGetLastError(communicator);
  return fmt::format("expected '{}' to succeed, found '{}' from {} on rank {}{}; see NCCL_DEBUG=WARN for more",
                     operation, ncclGetErrorString(result), call, rank,
                     words.empty() ? "" : fmt::format(" ({})", words));
}

// One NCCL communicator: of all ranks, or of the two ends of a lane. Its calls never wait without a deadline.
class Link {
 public:
  // Connects `size` ranks, of which this is the `place`-th; `id` comes from one of them. `rank` and `device` are
  // this rank's, for messages and for the GPU.
  Link(const ncclUniqueId& id, int size, int place, int rank, torch::Device device, Seconds limit,
       std::string_view operation)
      : rank_(rank), device_(device), limit_(limit) {
    std::optional<c10::DeviceGuard> guard;
    if (torch::cuda::is_available()) guard.emplace(device_);  // otherwise NCCL says why
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t result = ncclCommInitRankConfig(&communicator_, size, id, place, &config);
    if (!started(result)) fail(result, "ncclCommInitRankConfig", operation);
    settle(Deadline(operation, rank_, limit_));
  }

  ~Link() { close(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  static bool started(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }

  // Enqueues on `stream`: `enqueue` makes NCCL's calls with communicator and stream. Ends a group that was begun
  // even when a call in it fails: aborting a communicator would wait inside an open group.
  template <typename Enqueue>
  void enqueue(std::string_view call, const Deadline& deadline, const c10::Stream& stream, Enqueue enqueue) {
    const std::string_view operation = deadline.operation();
    io::check(
        communicator_ != nullptr,
        fmt::format("'{}' uses a communicator of rank {} on which an earlier operation failed", operation, rank_));
    if (const auto begun = ncclGroupStart(); !started(begun)) fail(begun, "ncclGroupStart", operation);
    const ncclResult_t enqueued = enqueue(communicator_, static_cast<cudaStream_t>(stream.native_handle()));
    const ncclResult_t ended = ncclGroupEnd();
    if (!started(enqueued)) fail(enqueued, call, operation);
    if (!started(ended)) fail(ended, call, operation);
    settle(deadline);
  }

  // Asks `done`, of a stream or an event, until it is; throws errors of the GPU, from this operation or from
  // earlier work.
  template <typename Done>
  void wait(const Deadline& deadline, Done done) {
    while (!asked(deadline, done)) settle(deadline, Look::once);
  }

  template <typename Done>
  bool asked(const Deadline& deadline, Done done) {
    try {
      return done();
    } catch (const c10::Error& error) {
      abort();
      throw CollectiveError(deadline.operation(),
                            fmt::format("expected '{}' to be done on {}, found '{}'", deadline.operation(),
                                        device_.str(), error.what_without_backtrace()));
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

 private:
  // Reads NCCL's text before the abort deletes it.
  [[noreturn]] void fail(ncclResult_t result, std::string_view call, std::string_view operation) {
    const std::string message = refusal(operation, result, call, rank_, communicator_);
    abort();
    throw CollectiveError(operation, message);
  }

  void abort() noexcept { free_by(ncclCommAbort, "abort NCCL"); }

  // Frees the communicator; the call waits for the GPU and cannot be polled.
  void free_by(ncclResult_t (*call)(ncclComm_t), std::string_view operation) noexcept {
    if (communicator_ == nullptr) return;
    const Deadline deadline(operation, rank_, limit_);
    const Watchdog watchdog(deadline, "the GPU");
    call(std::exchange(communicator_, nullptr));
  }

  void close() noexcept {
    if (communicator_ == nullptr) return;
    ncclResult_t state = std::uncaught_exceptions() > 0 ? ncclRemoteError : ncclCommFinalize(communicator_);
    const Deadline deadline("close NCCL", rank_, shutdown_timeout);
    while (state == ncclInProgress && !deadline.passed()) {
      if (ncclCommGetAsyncError(communicator_, &state) != ncclSuccess) break;
      pause_between_polls(deadline.elapsed());
    }
    state == ncclSuccess ? free_by(ncclCommDestroy, "close NCCL") : abort();
  }

  int rank_;
  torch::Device device_;
  Seconds limit_;
  ncclComm_t communicator_ = nullptr;
};

// Carries posted messages one way between two ranks, on a stream of its own: the streams that compute do not wait
// for them, nor do messages of other ways.
struct Lane {
  Link link;
  c10::Stream stream;
};

// A posted message that may be in flight; the deadline borrows the name, so it stays where it is.
struct Post {
  std::string operation;
  Deadline deadline;
  torch::Tensor tensor;
  c10::Event done;
  Lane* lane;
};

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device)
      : DeviceCommunicator(std::move(host), device) {
    connect();
  }

 private:
  void copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors, std::string_view operation,
                 Timeout timeout) override {
    run("ncclBroadcast", operation, timeout, [&](ncclComm_t communicator, cudaStream_t stream) {
      ncclResult_t result = ncclSuccess;
      for (std::size_t i = 0; i < roots.size() && Link::started(result); ++i) {
        result = ncclBroadcast(data_of(tensors[i]), data_of(tensors[i]), tensors[i].nbytes(), ncclUint8, roots[i],
                               communicator, stream);
      }
      return result;
    });
  }

  void sum(const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclAllReduce", operation, Timeout::until_deadline, [&](ncclComm_t communicator, cudaStream_t stream) {
      return ncclAllReduce(data_of(tensor), data_of(tensor), static_cast<std::size_t>(tensor.numel()), ncclInt64,
                           ncclSum, communicator, stream);
    });
  }

  void send_to(int to, const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclSend", operation, Timeout::until_deadline, [&](ncclComm_t communicator, cudaStream_t stream) {
      return ncclSend(data_of(tensor), tensor.nbytes(), ncclUint8, to, communicator, stream);
    });
  }

  void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) override {
    run("ncclRecv", operation, Timeout::until_deadline, [&](ncclComm_t communicator, cudaStream_t stream) {
      return ncclRecv(data_of(tensor), tensor.nbytes(), ncclUint8, from, communicator, stream);
    });
  }

  void post_to(int to, const torch::Tensor& tensor, std::string_view operation) override {
    drop_delivered();
    const c10::DeviceGuard guard(device());
    Lane& lane = lane_between(rank(), to);
    auto post = std::make_unique<Post>(Post{.operation = std::string(operation),
                                            .deadline = Deadline(operation, rank(), host().deadline()),
                                            .tensor = tensor,
                                            .done = c10::Event(device().type()),
                                            .lane = &lane});
    post->deadline = Deadline(post->operation, rank(), host().deadline());
    let_wait(lane.stream);
    lane.link.enqueue("ncclSend", post->deadline, lane.stream, [&](ncclComm_t communicator, cudaStream_t stream) {
      return ncclSend(data_of(tensor), tensor.nbytes(), ncclUint8, receiver, communicator, stream);
    });
    post->done.record(lane.stream);
    posts_.push_back(std::move(post));
  }

  void receive_posted_from(int from, const torch::Tensor& tensor, std::string_view operation) override {
    const c10::DeviceGuard guard(device());
    Lane& lane = lane_between(from, rank());
    const Deadline deadline(operation, rank(), host().deadline());
    let_wait(lane.stream);
    lane.link.enqueue("ncclRecv", deadline, lane.stream, [&](ncclComm_t communicator, cudaStream_t stream) {
      return ncclRecv(data_of(tensor), tensor.nbytes(), ncclUint8, sender, communicator, stream);
    });
    lane.link.wait(deadline, [&] { return lane.stream.query(); });
  }

  void wait_for_posts(std::string_view operation) override {
    const Deadline deadline(operation, rank(), host().deadline());
    for (drop_delivered(); !posts_.empty(); drop_delivered()) pause_between_polls(deadline.elapsed());
  }

  // Drops posts that are delivered; throws where one has failed or is past its deadline.
  void drop_delivered() {
    std::erase_if(posts_, [](const std::unique_ptr<Post>& post) {
      Link& link = post->lane->link;
      const bool done = link.asked(post->deadline, [&] { return post->done.query(); });
      if (!done) link.settle(post->deadline, Link::Look::once);
      return done;
    });
  }

  c10::Stream current_stream() const { return c10::impl::VirtualGuardImpl(device().type()).getStream(device()); }

  // `stream` continues when the current stream has done what it has to do now.
  void let_wait(const c10::Stream& stream) const {
    c10::Event reached(device().type());
    reached.record(current_stream());
    reached.block(stream);
  }

  // Made with the first message from one to the other, which therefore waits for its receiver.
  Lane& lane_between(int from, int to) {
    std::unique_ptr<Lane>& lane = lanes_[{from, to}];
    if (lane) return *lane;
    constexpr std::string_view operation = "connect NCCL between stages";
    const bool sends = rank() == from;
    ncclUniqueId id{};
    if (sends) {
      const ncclResult_t result = ncclGetUniqueId(&id);
      if (result != ncclSuccess) fail_without_link(result, "ncclGetUniqueId", operation);
      host().send(std::as_bytes(std::span(id.internal)), to, operation);
    } else {
      host().receive(std::as_writable_bytes(std::span(id.internal)), from, operation);
    }
    const c10::impl::VirtualGuardImpl guard(device().type());
    lane.reset(
        new Lane{.link = Link(id, 2, sends ? sender : receiver, rank(), device(), host().deadline(), operation),
                 .stream = guard.getStreamFromGlobalPool(device())});
    return *lane;
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
      fail_without_link(result, "ncclGetUniqueId on rank 0", operation);
    }
    std::memcpy(&id, bytes.data(), sizeof(id));
    link_.emplace(id, size(), rank(), rank(), device(), host().deadline(), operation);
  }

  // Enqueues on the current stream and waits until the stream has done it.
  template <typename Enqueue>
  void run(std::string_view call, std::string_view operation, Timeout timeout, Enqueue enqueue) {
    const Deadline deadline(operation, rank(), timeout.of(host().deadline()));
    const c10::DeviceGuard guard(device());
    const c10::Stream stream = current_stream();
    link_->enqueue(call, deadline, stream, enqueue);
    link_->wait(deadline, [&] { return stream.query(); });
  }

  [[noreturn]] void fail_without_link(ncclResult_t result, std::string_view call,
                                      std::string_view operation) const {
    throw CollectiveError(operation, refusal(operation, result, call, rank(), nullptr));
  }

  // Their places in a lane.
  static constexpr int sender = 0, receiver = 1;

  std::optional<Link> link_;                                    // of all ranks
  std::map<std::pair<int, int>, std::unique_ptr<Lane>> lanes_;  // by sender and receiver
  std::list<std::unique_ptr<Post>> posts_;                      // the last member: it uses the lanes
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
