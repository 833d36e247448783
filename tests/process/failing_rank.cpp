// For rank_death_test: an MPI program in which one rank ends in the way that argv[1] names while the others wait.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "sharding/collective/mpi_session.hpp"

using anchorage::sharding::MpiSession;

namespace {

void run(const std::string& way, const MpiSession& session) {
  const auto world = session.world();
  world->barrier("all are here");
  if (session.rank() == session.size() - 1) {
    if (way == "throws" || way == "leaves the session") throw std::runtime_error("the last rank fails");
    if (way == "crashes") __builtin_trap();
  }
  world->barrier("wait for the last rank");
}

int leave_session(int argc, char** argv) {
  try {
    const MpiSession session(argc, argv);
    run(argv[1], session);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (std::string(argv[1]) == "leaves the session") return leave_session(argc, argv);
  const MpiSession session(argc, argv);
  try {
    run(argv[1], session);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    session.end_job(2);
  }
  return 0;
}
