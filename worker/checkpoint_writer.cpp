#include "worker/checkpoint_writer.hpp"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/freed_memory.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

template <class T>
std::span<const T> doubles_of(const torch::Tensor& on_cpu) {
  return {on_cpu.const_data_ptr<T>(), static_cast<std::size_t>(on_cpu.numel())};
}

// What a device has computed when this is made.
class Reached {
 public:
  explicit Reached(torch::Device device) : device_(device) {
    if (!device.is_cuda()) return;
    event_ = std::make_unique<c10::Event>(device.type());
    event_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }

  // Returns the tensor on the host: itself, where it lies there. Copies through pinned memory on a stream of its
  // own, so that what is computed meanwhile does not wait.
  torch::Tensor on_host(const torch::Tensor& tensor) const {
    if (tensor.is_cpu()) return tensor.contiguous();
    const c10::DeviceGuard device(device_);
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
    const c10::StreamGuard on(stream);
    event_->block(stream);
    auto host = torch::empty(tensor.sizes(), tensor.options().device(torch::kCPU).pinned_memory(true));
    host.copy_(tensor, /*non_blocking=*/true);
    stream.synchronize();
    return host;
  }

 private:
  torch::Device device_;
  std::unique_ptr<c10::Event> event_;
};

torch::Tensor shaped_tensor(const std::vector<double>& values, torch::IntArrayRef shape) {
  // from_blob wants a mutable pointer; the values are only read, and copied by clone().
  return torch::from_blob(const_cast<double*>(values.data()), shape, torch::kDouble).clone();
}

void write_checkpoint_of(BatchEditor& editor, const io::CheckpointName& checkpoint, const Reached& reached) {
  for (const std::int64_t layer : editor.layers()) {
    const KeyCovariance& covariance = editor.solver().covariance(layer);
    const SlabPlace& place = covariance.place();
    for (const auto& [slab, rows] : covariance.slabs()) {
      const auto on_host = reached.on_host(rows);
      io::write_checkpoint_slab(checkpoint, layer, place.rows[slab].begin, doubles_of<double>(on_host),
                                rows.size(1));
    }
    if (!editor.solver().leads(layer)) continue;
    const auto [image, fresh_drift] = covariance.carried();
    const auto weight = reached.on_host(editor.weights().master(layer)), values = reached.on_host(image);
    std::vector<std::int64_t> slabs;
    for (const sharding::Range& rows : place.rows) slabs.push_back(rows.begin);
    io::CheckpointLayerView content;
    content.layer = layer;
    content.weight = doubles_of<float>(weight);
    content.image = doubles_of<double>(values);
    content.fresh_drift = fresh_drift;
    content.slabs = slabs;
    io::write_checkpoint_layer(checkpoint, content);
  }
}

}  // namespace

CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::begin(BatchEditor& editor, const io::CheckpointName& checkpoint) {
  if (writing_.exchange(true)) return;
  const auto reached = std::make_shared<const Reached>(editor.weights().device());
  thread_ = std::jthread([this, &editor, checkpoint, reached] {
    try {
      write_checkpoint_of(editor, checkpoint, *reached);
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
    covariance.restore({.image = shaped_tensor(read.image, {width}), .fresh_drift = read.fresh_drift});
    for (std::size_t slab = 0; slab < covariance.place().rows.size(); ++slab) {
      const sharding::Range& rows = covariance.place().rows[slab];
      if (!covariance.owns(slab)) continue;
      covariance.restore(
          slab, shaped_tensor(io::read_checkpoint_slab(directory, segment, layer, rows.begin, rows.size(), width),
                              {rows.size(), width}));
    }
  }
}

}  // namespace anchorage::worker
