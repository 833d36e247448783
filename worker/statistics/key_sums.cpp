#include "worker/statistics/key_sums.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "sharding/layer_owners.hpp"

namespace anchorage::worker {

void run_blocks(const Transformer& model, TokenLayout layout, std::int64_t last,
                const std::function<void(std::int64_t layer, const BlockOutput& output)>& see) {
  const torch::NoGradGuard no_gradients;
  const ForwardPass pass(model, std::move(layout));
  auto hidden = pass.embed();
  for (std::int64_t layer = 0; layer <= last; ++layer) {
    const BlockOutput output = pass.block(layer, hidden);
    hidden = output.hidden;
    if (model.holds(layer)) see(layer, output);
  }
  model.stages.deliver();
}

KeySums::KeySums(const Transformer& model, std::vector<std::int64_t> layers, const Communicators& ranks)
    : model_(model), communicators_(ranks), layers_(std::move(layers)) {
  std::ranges::copy_if(layers_, std::back_inserter(held_), [&](auto layer) { return model.holds(layer); });
  const auto owners = sharding::layer_owners(std::vector<std::int64_t>(held_.size(), 1), communicators_.size());
  const auto options = torch::TensorOptions(model.device()).dtype(torch::kDouble);
  for (std::size_t i = 0; i < held_.size(); ++i) {
    owners_[held_[i]] = owners[i];
    if (owners[i] == communicators_.rank())
      sums_[held_[i]] = torch::zeros({model.config.d_ff, model.config.d_ff}, options);
  }
}

void KeySums::restore(std::int64_t layer, std::span<const double> sum) {
  auto& own = sums_.at(layer);
  io::check(std::ssize(sum) == own.numel(), "a sum of keys of another size");
  // from_blob takes no constant data; it is only read.
  own.copy_(torch::from_blob(const_cast<double*>(sum.data()), own.sizes(), torch::kDouble));
}

void KeySums::add(const std::map<std::int64_t, torch::Tensor>& keys, std::span<const std::int64_t> sizes,
                  std::string_view operation) {
  const torch::NoGradGuard no_gradients;
  const auto nothing =
      torch::empty({0, model_.config.d_ff}, torch::TensorOptions(model_.device()).dtype(torch::kFloat));
  for (const std::int64_t layer : held_) {
    const auto all = communicators_.device.all_gather(keys.contains(layer) ? keys.at(layer) : nothing, operation);
    if (!sums_.contains(layer)) continue;
    std::int64_t begin = 0;
    for (const std::int64_t size : sizes) {
      const auto part = all.narrow(0, begin, size).to(torch::kDouble);
      sums_.at(layer).addmm_(part.t(), part);
      begin += size;
    }
  }
}

// From its owner the sum goes to the holder of the layer in the first replica, and from there to the first stage.
torch::Tensor KeySums::on_root(std::int64_t layer) const {
  constexpr std::string_view operation = "bring key statistics to rank 0";
  const std::int64_t size = model_.config.d_ff;
  communicators_.world.barrier("wait for a layer's turn");
  torch::Tensor whole;
  if (sums_.contains(layer)) {
    whole = sums_.at(layer);
    if (communicators_.rank() != 0) communicators_.device.send(whole, 0, operation);
  } else if (model_.holds(layer) && communicators_.rank() == 0) {
    whole = torch::empty({size, size}, torch::TensorOptions(model_.device()).dtype(torch::kDouble));
    communicators_.device.receive(whole, owners_.at(layer), operation);
  }
  if (communicators_.rank() != 0) return {};
  whole = model_.stages.move(whole, model_.stages.stage_of(layer), 0, {size, size}, torch::kDouble, operation);
  model_.stages.deliver();
  return communicators_.is_root() ? whole.cpu().contiguous() : torch::Tensor();
}

std::span<const double> values_of(const torch::Tensor& sum) {
  return {sum.data_ptr<double>(), static_cast<std::size_t>(sum.numel())};
}

io::SecondMoment mean_moment(std::int64_t layer, const torch::Tensor& sum, std::int64_t keys) {
  io::SecondMoment moment{.layer = layer, .moment = {.rows = sum.size(0), .columns = sum.size(1), .values = {}}};
  const auto values = values_of(sum);
  moment.moment.values.reserve(values.size());
  for (const double value : values)
    moment.moment.values.push_back(static_cast<float>(value / static_cast<double>(keys)));
  return moment;
}

}  // namespace anchorage::worker
