// Loads a Transformer from a Hugging Face directory.
#pragma once

#include <optional>
#include <string>

#include "io/model/model_directory.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct LoadOptions {
  torch::Device device = torch::kCPU;
  std::optional<torch::ScalarType> dtype;  // none: the checkpoint's own
  Stages stages{};                         // of this rank's replica; only its own stage's weights are read
  kernels::Forms forms{};                  // which kernels the model's passes run
};

// Returns torch's name of a stored dtype.
torch::ScalarType scalar_type(io::DType dtype);

// Reads the weights that config.json promises and ignores others (tensor_names.hpp). Throws io::UserError
// that names the tensor when one is missing, has another shape than config.json says, or has values that are
// not finite, or would not be in the requested dtype.
Transformer load_transformer(const io::ModelDirectory& directory, const LoadOptions& options = {});

// Reads the edited matrix of a layer (down_projection_name) from the checkpoint, [d, f] f32 on the CPU.
torch::Tensor read_down_projection(const io::ModelDirectory& directory, std::int64_t layer);

// Returns it as the file has it, [d, f] in the file's dtype: its mapped bytes, which must not be written to and
// which the directory keeps. For matrices that have been read, since nothing is checked again.
torch::Tensor mapped_down_projection(const io::ModelDirectory& directory, std::int64_t layer);

}  // namespace anchorage::worker
