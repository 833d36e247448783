#include "sharding/collective/device_communicator.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <numeric>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

// What ranks must agree on before their tensors are concatenated: dtype and all dimensions but the first.
std::vector<std::int64_t> kind_of(const torch::Tensor& tensor) {
  std::vector<std::int64_t> kind = {static_cast<std::int64_t>(tensor.scalar_type()), tensor.dim()};
  for (std::int64_t i = 1; i < tensor.dim(); ++i) kind.push_back(tensor.size(i));
  return kind;
}

std::string text_of(const torch::Tensor& tensor) {
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

}  // namespace

DeviceCommunicator::DeviceCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device)
    : host_(std::move(host)), device_(device) {}

void DeviceCommunicator::finish_computing() const {
  if (!device_.is_cuda() || size() == 1 || activities() == nullptr || !activities()->is_counting()) return;
  try {
    c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
  } catch (const c10::Error&) {
    return;  // the operation that follows meets the same error and says what it was doing
  }
}

torch::Tensor DeviceCommunicator::count(std::string_view operation, const std::function<torch::Tensor()>& body) {
  const auto start = std::chrono::steady_clock::now();
  finish_computing();
  const Activities::Scope waiting(activities(), Activities::Kind::wait, operation);
  torch::Tensor payload = body();
  Traffic& traffic = traffic_.try_emplace(std::string(operation)).first->second;
  traffic.calls += 1;
  traffic.bytes += static_cast<std::int64_t>(payload.nbytes());
  traffic.seconds += Seconds(std::chrono::steady_clock::now() - start).count();
  return payload;
}

void DeviceCommunicator::broadcast(const torch::Tensor& tensor, int root, std::string_view operation,
                                   Timeout timeout) {
  check_place(tensor, operation);
  check_rank(root, operation);
  count(operation, [&] {
    if (size() > 1 && tensor.numel() > 0) {
      copy_from(std::span(&root, 1), std::span(&tensor, 1), operation, timeout);
    }
    return tensor;
  });
}

// Only the first exchange takes the long timeout: after it, all ranks are in this call.
torch::Tensor DeviceCommunicator::all_gather(const torch::Tensor& mine, std::string_view operation,
                                             Timeout timeout) {
  io::check(mine.dim() > 0, fmt::format("'{}' gathers rows, but rank {} has a scalar", operation, rank()));
  check_place(mine.contiguous(), operation);
  return count(operation, [&] {
    if (size() == 1) return mine.clone();
    return gather_rows(mine, rows_by_rank(mine, operation, timeout), operation, Timeout::until_deadline);
  });
}

torch::Tensor DeviceCommunicator::all_gather(const torch::Tensor& mine, std::span<const std::int64_t> rows,
                                             std::string_view operation, Timeout timeout) {
  const bool fits =
      std::ssize(rows) == size() && mine.dim() > 0 && rows[static_cast<std::size_t>(rank())] == mine.size(0);
  io::check(fits, fmt::format("'{}' gathers {} rows, but rank {} has {}", operation, fmt::join(rows, ", "), rank(),
                              text_of(mine)));
  check_place(mine.contiguous(), operation);
  return count(operation, [&] { return size() == 1 ? mine.clone() : gather_rows(mine, rows, operation, timeout); });
}

torch::Tensor DeviceCommunicator::gather_rows(const torch::Tensor& mine, std::span<const std::int64_t> rows,
                                              std::string_view operation, Timeout timeout) {
  std::vector<std::int64_t> shape = mine.sizes().vec();
  shape[0] = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  torch::Tensor all = torch::empty(shape, mine.options().memory_format(torch::MemoryFormat::Contiguous));

  std::vector<int> roots;
  std::vector<torch::Tensor> parts;
  const std::vector<torch::Tensor> part_of = all.split_with_sizes({rows.data(), rows.size()});
  for (int root = 0; root < size(); ++root) {
    const torch::Tensor& part = part_of[static_cast<std::size_t>(root)];
    if (part.numel() == 0) continue;
    if (root == rank()) part.copy_(mine);
    roots.push_back(root);
    parts.push_back(part);
  }
  if (!parts.empty()) copy_from(roots, parts, operation, timeout);
  return all;
}

// Also checks that the ranks' tensors can be concatenated.
std::vector<std::int64_t> DeviceCommunicator::rows_by_rank(const torch::Tensor& mine, std::string_view operation,
                                                           Timeout timeout) {
  std::vector<std::int64_t> header = kind_of(mine);
  header.push_back(mine.size(0));
  std::vector<std::int64_t> rows;
  for (const auto& bytes : host_->all_gather(std::as_bytes(std::span(header)), operation, timeout)) {
    std::vector<std::int64_t> theirs(bytes.size() / sizeof(std::int64_t));
    std::memcpy(theirs.data(), bytes.data(), bytes.size());
    rows.push_back(theirs.back());
    theirs.back() = header.back();
    io::check(theirs == header,
              fmt::format("'{}' puts together tensors like {} of rank {}, but rank {} has another dtype "
                          "or shape",
                          operation, text_of(mine), rank(), rows.size() - 1));
  }
  return rows;
}

void DeviceCommunicator::all_reduce_sum(const torch::Tensor& tensor, std::string_view operation) {
  check_place(tensor, operation);
  io::check(tensor.scalar_type() == torch::kInt64,
            fmt::format("'{}' sums int64 exactly, but rank {} has {}", operation, rank(), text_of(tensor)));
  count(operation, [&] {
    if (size() > 1 && tensor.numel() > 0) sum(tensor, operation);
    return tensor;
  });
}

void DeviceCommunicator::send(const torch::Tensor& tensor, int to, std::string_view operation) {
  torch::Tensor own = tensor.contiguous();
  check_place(own, operation);
  check_peer(to, operation);
  count(operation, [&] {
    if (own.numel() > 0) send_to(to, own, operation);
    return own;
  });
}

void DeviceCommunicator::receive(const torch::Tensor& tensor, int from, std::string_view operation) {
  check_place(tensor, operation);
  check_peer(from, operation);
  count(operation, [&] {
    if (tensor.numel() > 0) receive_from(from, tensor, operation);
    return tensor;
  });
}

void DeviceCommunicator::post(const torch::Tensor& tensor, int to, std::string_view operation) {
  torch::Tensor own = tensor.contiguous();
  check_place(own, operation);
  check_peer(to, operation);
  count(operation, [&] {
    if (own.numel() > 0) post_to(to, own, operation);
    return own;
  });
}

void DeviceCommunicator::receive_posted(const torch::Tensor& tensor, int from, std::string_view operation) {
  check_place(tensor, operation);
  check_peer(from, operation);
  count(operation, [&] {
    if (tensor.numel() > 0) receive_posted_from(from, tensor, operation);
    return tensor;
  });
}

void DeviceCommunicator::deliver_posts(std::string_view operation) {
  if (size() == 1) return;
  count(operation, [&] {
    wait_for_posts(operation);
    return torch::empty({0});
  });
}

void DeviceCommunicator::check_place(const torch::Tensor& tensor, std::string_view operation) const {
  io::check(tensor.device() == device_, fmt::format("'{}' moves tensors on {}, but rank {} has one on {}",
                                                    operation, device_.str(), rank(), tensor.device().str()));
  io::check(tensor.is_contiguous(), fmt::format("'{}' writes in place, but {} of rank {} is not contiguous",
                                                operation, text_of(tensor), rank()));
}

void DeviceCommunicator::check_rank(int rank, std::string_view operation) const {
  io::check(rank >= 0 && rank < size(),
            fmt::format("'{}' names rank {} in a world of {} ranks", operation, rank, size()));
}

void DeviceCommunicator::check_peer(int rank, std::string_view operation) const {
  check_rank(rank, operation);
  io::check(rank != this->rank(),
            fmt::format("'{}' is between two ranks, but rank {} names itself", operation, rank));
}

}  // namespace anchorage::sharding
