// What the program was built from and which libraries it runs with.
#pragma once

#include <string>

namespace anchorage::launch {

// Returns one JSON document: {"version", "commit", "compiler", "torch", "cuda", "mpi", "nccl", "hdf5", "device",
// "gpus"}. "commit" is "unknown" where git was not there to tell it; "device" is what --device auto takes, "cuda"
// or "cpu", and "gpus" what each is called. MPI, NCCL and HDF5 are asked for the version that is loaded; torch and
// its CUDA have no such question: theirs are those of the headers and of torch's own build.
std::string version_document();

}  // namespace anchorage::launch
