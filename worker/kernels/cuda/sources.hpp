// The device sources of this folder (*.cu, *.cuh) and what they include, as text: they travel in the program, and
// are compiled for the GPU that is there (program.hpp).
#pragma once

#include <span>

namespace anchorage::worker::kernels::cuda {

struct SourceText {
  const char* path;  // from the source root, as it is included
  const char* text;
};

// Defined in a file that the build writes (cmake/EmbedTexts.cmake).
std::span<const SourceText> source_texts();

}  // namespace anchorage::worker::kernels::cuda
