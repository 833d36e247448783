// A Transformer from a Hugging Face directory.
#pragma once

#include <optional>
#include <string>

#include "io/model/model_directory.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct LoadOptions {
  torch::Device device = torch::kCPU;
  std::optional<torch::ScalarType> dtype;  // the checkpoint's own where not given
  Stages stages{};                         // of this rank's replica; only the weights of its own stage are read
};

// torch's name of a stored dtype.
torch::ScalarType scalar_type(io::DType dtype);

// Reads the weights that config.json promises; others are left alone (tensor_names.hpp). Throws io::UserError that
// names the tensor when one is missing, of another shape than config.json says, or has values that are not finite,
// or would not be in the dtype asked for.
Transformer load_transformer(const io::ModelDirectory& directory, const LoadOptions& options = {});

// Name of the edited matrix of a layer in the checkpoint ("model.layers.4.mlp.down_proj.weight").
std::string down_projection_name(const io::ModelDirectory& directory, std::int64_t layer);

// That matrix as the checkpoint has it, [d, f] f32 on the CPU.
torch::Tensor read_down_projection(const io::ModelDirectory& directory, std::int64_t layer);

// True where the checkpoint holds that matrix as [f, d] (GPT-2's Conv1D) and not as [d, f].
bool down_projection_is_transposed(const io::ModelConfig& config);

}  // namespace anchorage::worker
