#include "sharding/collective/mpi_session.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "io/error.hpp"
#include "sharding/collective/mpi_check.hpp"
#include "sharding/collective/mpi_communicator.hpp"

namespace anchorage::sharding {

std::string mpi_library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  ANCHORAGE_CHECK_MPI("get the version", -1, MPI_Get_library_version(text.data(), &length));
  const std::string all(text.data(), static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));  // who packaged Open MPI, and when, follows
}

MpiSession::MpiSession(int& argc, char**& argv) : exceptions_at_start_(std::uncaught_exceptions()) {
  // A process started without mpirun or srun stays alone. Open MPI need not start a daemon for it, which
  // takes seconds where the machine's own name cannot be resolved, nor create a session directory, which all
  // such processes would share: one that ends would remove it from under one that starts.
  if (std::getenv("PMIX_RANK") == nullptr) {
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
  }
  int provided = 0;
  ANCHORAGE_CHECK_MPI("start MPI", -1, MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided));
  ANCHORAGE_CHECK_MPI("start MPI", -1, MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  ANCHORAGE_CHECK_MPI("start MPI", -1, MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  ANCHORAGE_CHECK_MPI("start MPI", rank_, MPI_Comm_size(MPI_COMM_WORLD, &size_));
  io::check(provided >= MPI_THREAD_SERIALIZED, fmt::format("MPI offers thread level {}, needed is {}", provided,
                                                           static_cast<int>(MPI_THREAD_SERIALIZED)));
}

MpiSession::~MpiSession() {
  if (size_ > 1 && std::uncaught_exceptions() > exceptions_at_start_) {
    std::fprintf(stderr, "rank %d is left by an exception: ending the job\n", rank_);
    end_job(EXIT_FAILURE);
  }
  MPI_Finalize();
}

std::unique_ptr<HostCommunicator> MpiSession::world(const MpiOptions& options) const {
  const Deadline deadline("make a world", rank_, options.deadline);
  auto progress = std::make_shared<MpiProgress>();
  MPI_Comm everyone = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  ANCHORAGE_CHECK_MPI(deadline.operation(), rank_, MPI_Comm_idup(MPI_COMM_WORLD, &everyone, &request));
  finish(request, *progress, deadline, fmt::format("all {} ranks to come", size_));
  return std::make_unique<MpiCommunicator>(everyone, rank_, size_, options, std::move(progress));
}

// A single rank has no others to end, and MPI_Abort would print its own lines after ours.
void MpiSession::end_job(int exit_code) const {
  std::fflush(nullptr);
  if (size_ == 1) {
    MPI_Finalize();
    std::exit(exit_code);
  }
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();  // MPI_Abort is not declared [[noreturn]]
}

// Runs neither MPI_Finalize nor the destructors of static objects, which the other thread is using.
void MpiSession::abandon_job(int exit_code) const {
  std::fflush(nullptr);
  if (size_ > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace anchorage::sharding
