// For mpi_*.cpp only: the check around every MPI call, which can fire because MPI_ERRORS_RETURN is set.
#pragma once

#include <fmt/format.h>
#include <mpi.h>

#include <string>

#include "sharding/collective/deadline.hpp"

namespace anchorage::sharding {

inline std::string mpi_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  return {text, static_cast<std::size_t>(length)};
}

// Throws CollectiveError with the call, MPI's text, rank, file and line when `call` does not return
// MPI_SUCCESS.
#define ANCHORAGE_CHECK_MPI(operation, rank, call)                                                             \
  do {                                                                                                         \
    if (const int mpi_code_ = (call); mpi_code_ != MPI_SUCCESS) {                                              \
      throw CollectiveError(                                                                                   \
          operation, fmt::format("expected '{}' to succeed, found '{}' from {} on rank {} ({}:{})", operation, \
                                 mpi_text(mpi_code_), #call, rank, __FILE__, __LINE__));                       \
    }                                                                                                          \
  } while (false)

}  // namespace anchorage::sharding
