#include "sharding/collective/mpi_communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "sharding/collective/mpi_check.hpp"
#include "sharding/collective/watchdog.hpp"

namespace anchorage::sharding {
namespace {

constexpr int message_tag = 0;

// Calls `move(piece)` for consecutive pieces of at most `largest` elements.
template <typename T, typename Move>
void in_pieces(std::span<T> all, std::int64_t largest, Move move) {
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t count = std::min(all.size() - begin, static_cast<std::size_t>(largest));
    move(all.subspan(begin, count));
    begin += count;
  }
}

template <typename T>
int count_of(std::span<T> piece) {
  return static_cast<int>(piece.size());
}

}  // namespace

void finish(MPI_Request request, MpiProgress& progress, const Deadline& deadline, const std::string& waited_for) {
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    int done = 0;
    {
      const auto one_call = progress.lock();
      ANCHORAGE_CHECK_MPI(deadline.operation(), deadline.rank(), MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    }
    if (done != 0) return;
    deadline.check(waited_for);
    pause_between_polls(std::chrono::steady_clock::now() - start);
  }
}

MpiCommunicator::MpiCommunicator(MPI_Comm communicator, int rank, int size, const MpiOptions& options,
                                 std::shared_ptr<MpiProgress> progress)
    : HostCommunicator(rank, size, options.deadline),
      communicator_(communicator),
      options_(options),
      progress_(std::move(progress)) {}

// After a failure, freeing could wait for the ranks that failed.
MpiCommunicator::~MpiCommunicator() {
  if (failed() || std::uncaught_exceptions() > 0) return;
  const Deadline freeing("leave a communicator", rank(), deadline());
  const Watchdog watchdog(freeing, "the other ranks");
  const auto one_call = progress_->lock();
  MPI_Comm_free(&communicator_);
}

void MpiCommunicator::wait_for_all(const Deadline& deadline) {
  MPI_Request request = MPI_REQUEST_NULL;
  {
    const auto one_call = progress_->lock();
    ANCHORAGE_CHECK_MPI(deadline.operation(), rank(), MPI_Ibarrier(communicator_, &request));
  }
  finish(request, *progress_, deadline, fmt::format("all {} ranks to come", size()));
}

void MpiCommunicator::copy_from(int root, std::span<std::byte> bytes, const Deadline& deadline) {
  in_pieces(bytes, options_.largest_message_bytes, [&](std::span<std::byte> piece) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const auto one_call = progress_->lock();
      ANCHORAGE_CHECK_MPI(deadline.operation(), rank(),
                          MPI_Ibcast(piece.data(), count_of(piece), MPI_BYTE, root, communicator_, &request));
    }
    finish(request, *progress_, deadline, rank() == root ? "the other ranks" : fmt::format("rank {}", root));
  });
}

void MpiCommunicator::sum(std::span<std::int64_t> values, const Deadline& deadline) {
  const std::int64_t largest = std::max<std::int64_t>(options_.largest_message_bytes / 8, 1);
  in_pieces(values, largest, [&](std::span<std::int64_t> piece) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const auto one_call = progress_->lock();
      ANCHORAGE_CHECK_MPI(deadline.operation(), rank(),
                          MPI_Iallreduce(MPI_IN_PLACE, piece.data(), count_of(piece), MPI_INT64_T, MPI_SUM,
                                         communicator_, &request));
    }
    finish(request, *progress_, deadline, fmt::format("all {} ranks to come", size()));
  });
}

void MpiCommunicator::send_bytes(std::span<const std::byte> bytes, int to, const Deadline& deadline) {
  in_pieces(bytes, options_.largest_message_bytes, [&](std::span<const std::byte> piece) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const auto one_call = progress_->lock();
      ANCHORAGE_CHECK_MPI(
          deadline.operation(), rank(),
          MPI_Isend(piece.data(), count_of(piece), MPI_BYTE, to, message_tag, communicator_, &request));
    }
    finish(request, *progress_, deadline, fmt::format("rank {} to receive", to));
  });
}

void MpiCommunicator::receive_bytes(std::span<std::byte> bytes, int from, const Deadline& deadline) {
  in_pieces(bytes, options_.largest_message_bytes, [&](std::span<std::byte> piece) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const auto one_call = progress_->lock();
      ANCHORAGE_CHECK_MPI(
          deadline.operation(), rank(),
          MPI_Irecv(piece.data(), count_of(piece), MPI_BYTE, from, message_tag, communicator_, &request));
    }
    finish(request, *progress_, deadline, fmt::format("rank {} to send", from));
  });
}

void MpiCommunicator::post_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
                                 const Deadline& deadline) {
  drop_delivered();
  auto post = std::make_unique<Post>(Post{.operation = std::string(deadline.operation()),
                                          .deadline = deadline,
                                          .owner = std::move(owner),
                                          .to = to,
                                          .requests = {}});
  post->deadline = Deadline(post->operation, rank(), this->deadline());
  in_pieces(bytes, options_.largest_message_bytes, [&](std::span<const std::byte> piece) {
    const auto one_call = progress_->lock();
    ANCHORAGE_CHECK_MPI(deadline.operation(), rank(),
                        MPI_Isend(piece.data(), count_of(piece), MPI_BYTE, to, message_tag, communicator_,
                                  &post->requests.emplace_back(MPI_REQUEST_NULL)));
  });
  posts_.push_back(std::move(post));
  progress_->begin_post();
}

void MpiCommunicator::drop_delivered() {
  std::erase_if(posts_, [&](const std::unique_ptr<Post>& post) {
    int done = 0;
    {
      const auto one_call = progress_->lock();
      ANCHORAGE_CHECK_MPI(
          post->operation, rank(),
          MPI_Testall(count_of(std::span(post->requests)), post->requests.data(), &done, MPI_STATUSES_IGNORE));
    }
    if (done == 0) post->deadline.check(fmt::format("rank {} to receive", post->to));
    if (done != 0) progress_->end_post();
    return done != 0;
  });
}

void MpiCommunicator::wait_for_posts(const Deadline& deadline) {
  for (drop_delivered(); !posts_.empty(); drop_delivered()) pause_between_polls(deadline.elapsed());
}

// MPI 3.1 has no split that can be polled: the barrier ensures that all ranks have arrived when it is called,
// and the watchdog ends a rank that still waits in it.
std::unique_ptr<HostCommunicator> MpiCommunicator::split_by(int color, const Deadline& deadline) {
  wait_for_all(deadline);
  MPI_Comm part = MPI_COMM_NULL;
  const auto calls = progress_->lock();
  {
    const Watchdog watchdog(deadline, "the other ranks");
    ANCHORAGE_CHECK_MPI(deadline.operation(), rank(), MPI_Comm_split(communicator_, color, rank(), &part));
  }
  int part_rank = 0;
  int part_size = 0;
  ANCHORAGE_CHECK_MPI(deadline.operation(), rank(), MPI_Comm_rank(part, &part_rank));
  ANCHORAGE_CHECK_MPI(deadline.operation(), rank(), MPI_Comm_size(part, &part_size));
  return std::make_unique<MpiCommunicator>(part, part_rank, part_size, options_, progress_);
}

}  // namespace anchorage::sharding
