// Reads a model's config.json with the installed io, and prints how many layers there are.
#include <cstdio>

#include "io/hdf5/file.hpp"
#include "io/model/model_config.hpp"
#include "sharding/collective/mpi_session.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const anchorage::io::ModelConfig model = anchorage::io::read_model_config(argv[1]);
  std::printf("%d layers, HDF5 %s, %s\n", static_cast<int>(model.layers),
              anchorage::io::hdf5::library_version().c_str(), anchorage::sharding::mpi_library_version().c_str());
}
