#include "worker/checkpoint_writer.hpp"

#include <map>

#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/checkpoint.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

std::vector<double> values_of(const torch::Tensor& tensor) {
  const double* begin = tensor.data_ptr<double>();
  return {begin, begin + tensor.numel()};
}

// The state of one layer, on the CPU: the accelerator's memory is for the next batch.
struct LayerState {
  torch::Tensor weight, system, inverse;
};

std::map<std::int64_t, LayerState> owned_state(const BatchEditor& editor) {
  std::map<std::int64_t, LayerState> owned;
  const BatchEditor::State state = editor.state();
  for (const auto& [layer, covariance] : state.least_squares.covariances) {
    owned[layer] = {state.weights.at(layer).cpu(), covariance.system().cpu().contiguous(),
                    covariance.inverse().cpu().contiguous()};
  }
  return owned;
}

torch::Tensor square_tensor(const std::vector<double>& values, std::int64_t size) {
  // from_blob wants a mutable pointer; the values are only read, and copied by clone().
  return torch::from_blob(const_cast<double*>(values.data()), {size, size}, torch::kDouble).clone();
}

}  // namespace

CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::begin(const BatchEditor& editor, const std::filesystem::path& directory,
                             std::int64_t segment, const std::string& digest) {
  if (writing_.exchange(true)) return;
  // Tensors of the least squares are never changed in place, and those of the weights are copies.
  thread_ = std::jthread([this, state = owned_state(editor), directory, segment, digest] {
    try {
      for (const auto& [layer, tensors] : state) {
        io::write_checkpoint_layer(directory, segment, digest,
                                   {.layer = layer,
                                    .weight = to_matrix(tensors.weight),
                                    .system_size = tensors.system.size(0),
                                    .system = values_of(tensors.system),
                                    .inverse = values_of(tensors.inverse)});
      }
    } catch (const std::exception& error) {
      spdlog::warn("a checkpoint could not be written, the run continues without it: {}", error.what());
    }
    writing_ = false;
  });
}

void load_checkpoint(BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment) {
  for (const std::int64_t layer : editor.layers()) {
    if (!editor.holds(layer)) continue;
    if (!editor.owns(layer)) {
      editor.restore_weight(layer, to_tensor(io::read_checkpoint_weight(directory, segment, layer)));
      continue;
    }
    const io::CheckpointLayer read = io::read_checkpoint_layer(directory, segment, layer);
    editor.restore_weight(layer, to_tensor(read.weight));
    editor.restore_least_squares(layer, square_tensor(read.system, read.system_size),
                                 square_tensor(read.inverse, read.weight.columns));
  }
}

}  // namespace anchorage::worker
