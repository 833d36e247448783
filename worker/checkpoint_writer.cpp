#include "worker/checkpoint_writer.hpp"

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/freed_memory.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

std::span<const double> values_of(const torch::Tensor& on_cpu) {
  return {on_cpu.data_ptr<double>(), static_cast<std::size_t>(on_cpu.numel())};
}

torch::Tensor tensor_of(const std::vector<double>& values, torch::IntArrayRef shape) {
  // from_blob wants a mutable pointer; the values are only read, and copied by clone().
  return torch::from_blob(const_cast<double*>(values.data()), shape, torch::kDouble).clone();
}

void write(BatchEditor& editor, const io::CheckpointName& checkpoint) {
  for (const std::int64_t layer : editor.layers()) {
    const KeyCovariance& covariance = editor.solver().covariance(layer);
    const SlabPlace& place = covariance.place();
    for (const auto& [slab, rows] : covariance.slabs()) {
      const auto on_cpu = rows.cpu().contiguous();  // the slab itself, where it lies on the CPU
      io::write_checkpoint_slab(checkpoint, layer, place.rows[slab].begin, values_of(on_cpu), rows.size(1));
    }
    if (!editor.solver().leads(layer)) continue;
    const auto [image, fresh_drift] = covariance.carried();
    const auto values = image.cpu();
    io::CheckpointLayer content{.layer = layer,
                                .weight = to_matrix(editor.weights().master(layer)),
                                .image = {},
                                .fresh_drift = fresh_drift,
                                .slabs = {}};
    content.image.assign(values_of(values).begin(), values_of(values).end());
    for (const sharding::Range& rows : place.rows) content.slabs.push_back(rows.begin);
    io::write_checkpoint_layer(checkpoint, content);
  }
}

}  // namespace

CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::begin(BatchEditor& editor, const io::CheckpointName& checkpoint) {
  if (writing_.exchange(true)) return;
  thread_ = std::jthread([this, &editor, checkpoint] {
    try {
      write(editor, checkpoint);
    } catch (const std::exception& error) {
      spdlog::warn("a checkpoint could not be written, the run continues without it: {}", error.what());
    }
    return_freed_memory();
    writing_ = false;
  });
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
}

void load_checkpoint(BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment) {
  for (const std::int64_t layer : editor.layers()) {
    const io::CheckpointLayer read = io::read_checkpoint_layer(directory, segment, layer);
    if (editor.holds(layer)) editor.weights().restore(layer, to_tensor(read.weight));
    KeyCovariance& covariance = editor.solver().covariance(layer);
    const std::int64_t width = read.weight.columns;
    covariance.restore({.image = tensor_of(read.image, {width}), .fresh_drift = read.fresh_drift});
    for (std::size_t slab = 0; slab < covariance.place().rows.size(); ++slab) {
      const sharding::Range& rows = covariance.place().rows[slab];
      if (!covariance.owns(slab)) continue;
      covariance.restore(
          slab, tensor_of(io::read_checkpoint_slab(directory, segment, layer, rows.begin, rows.size(), width),
                          {rows.size(), width}));
    }
  }
}

}  // namespace anchorage::worker
