#include "worker/model/load.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "io/error.hpp"
#include "io/model/finite_values.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::worker {

torch::ScalarType scalar_type(io::DType dtype) {
  switch (dtype) {
    case io::DType::f32:
      return torch::kFloat;
    case io::DType::f16:
      return torch::kHalf;
    case io::DType::bf16:
      return torch::kBFloat16;
  }
  throw io::InternalError("a dtype without a torch name");
}

namespace {

// Returns the dtype to which loading rounds stored values; types other than half precision hold what f32
// holds.
io::DType rounded_to(torch::ScalarType type) {
  return type == torch::kHalf ? io::DType::f16 : type == torch::kBFloat16 ? io::DType::bf16 : io::DType::f32;
}

torch::Tensor tensor_of(const io::TensorView& view) {
  // from_blob wants a mutable pointer; the mapped bytes are only read.
  auto* bytes = const_cast<std::byte*>(view.bytes.data());
  return torch::from_blob(bytes, view.shape, torch::TensorOptions().dtype(scalar_type(view.dtype)));
}

// Reads tensors of one checkpoint and checks that they exist, their shapes, and that they are finite.
class Reader {
 public:
  Reader(const io::ModelDirectory& directory, const LoadOptions& options)
      : directory_(directory), weights_(directory.weights()), prefix_(tensor_prefix(directory)) {
    const io::DType stored = stored_tensor(embedding_name(directory)).dtype;
    target_ = torch::TensorOptions().device(options.device).dtype(options.dtype.value_or(scalar_type(stored)));
  }

  const std::string& prefix() const { return prefix_; }

  // Copies the tensor into `place`, whose shape it must have (after transposing GPT-2's Conv1D).
  void read_into(const torch::Tensor& place, const std::string& name, bool transposed = false) const {
    const io::TensorView view = stored_tensor(name);
    auto shape = place.sizes().vec();
    if (transposed) std::swap(shape.front(), shape.back());
    if (view.shape != shape) {
      throw io::UserError({.expected = fmt::format("{} of shape [{}]", name, fmt::join(shape, ", ")),
                           .found = fmt::format("[{}]", fmt::join(view.shape, ", ")),
                           .where = directory_.path().string(),
                           .remedy = "check that config.json belongs to these weights"});
    }
    require_finite(view, rounded_to(place.scalar_type()), name);
    const auto stored = tensor_of(view);
    place.copy_(transposed ? stored.t() : stored);
  }

  torch::Tensor read(const std::string& name, const std::vector<std::int64_t>& shape,
                     bool transposed = false) const {
    auto tensor = torch::empty(shape, target_);
    read_into(tensor, name, transposed);
    return tensor;
  }

  // Stacks several matrices [out_i, in], and their biases where the model has some.
  Linear stack(const std::vector<std::pair<std::string, std::int64_t>>& parts, std::int64_t in, bool bias) const {
    const bool transposed = directory_.config().traits().transposed_weights;
    std::int64_t out = 0;
    for (const auto& [name, rows] : parts) out += rows;
    Linear linear{.weight = torch::empty({out, in}, target_), .bias = {}};
    if (bias) linear.bias = torch::empty({out}, target_);
    std::int64_t begin = 0;
    for (const auto& [name, rows] : parts) {
      read_into(linear.weight.narrow(0, begin, rows), name + ".weight", transposed);
      if (linear.bias.defined()) read_into(linear.bias.narrow(0, begin, rows), name + ".bias");
      begin += rows;
    }
    return linear;
  }

 private:
  io::TensorView stored_tensor(const std::string& name) const {
    if (weights_.contains(name)) return weights_.at(name);
    throw io::UserError({.expected = fmt::format("the tensor '{}', as config.json promises", name),
                         .found = "none of that name",
                         .where = directory_.path().string(),
                         .remedy = "check that config.json belongs to these weights; transformers would put random "
                                   "numbers in its place"});
  }

  void require_finite(const io::TensorView& view, io::DType target, const std::string& name) const {
    const auto found = io::not_finite(view, target);
    if (!found) return;
    const bool overflows = std::isfinite(found->value);
    throw io::UserError(
        {.expected = overflows ? fmt::format("weights that {} can hold", io::name_of(target)) : "finite weights",
         .found = found->words(view.shape),
         .where = fmt::format("tensor '{}' of {}", name, weights_.path_of(name).string()),
         .remedy = overflows ? "choose another --dtype: bf16 or fp32"
                             : "get the model again; if it is like that, its training ran away"});
  }

  const io::ModelDirectory& directory_;
  const io::WeightFiles& weights_;
  std::string prefix_;
  torch::TensorOptions target_;
};

// Reads the norm of each head's queries or keys, where the family has one.
Norm read_head_norm(const Reader& reader, const io::ModelConfig& config, const std::string& block,
                    std::string_view name) {
  if (name.empty()) return {};
  return {.weight = reader.read(fmt::format("{}{}.weight", block, name), {config.head_dim}), .bias = {}};
}

Norm read_norm(const Reader& reader, const io::ModelConfig& config, const std::string& name) {
  Norm norm{.weight = reader.read(name + ".weight", {config.d_model}), .bias = {}};
  if (config.traits().norm == io::NormKind::layer_norm) norm.bias = reader.read(name + ".bias", {config.d_model});
  return norm;
}

// Names the stored parts of a matrix, which may be stored in one piece: its rows go to the names in order.
std::vector<std::pair<std::string, std::int64_t>> parts_of(const std::string& block,
                                                           std::span<const std::string_view> names,
                                                           const std::vector<std::int64_t>& rows) {
  if (names.size() == 1) return {{block + std::string(names[0]), std::accumulate(rows.begin(), rows.end(), 0L)}};
  std::vector<std::pair<std::string, std::int64_t>> parts;
  for (std::size_t i = 0; i < names.size(); ++i) parts.emplace_back(block + std::string(names[i]), rows[i]);
  return parts;
}

Block read_block(const Reader& reader, const io::ModelConfig& config, std::int64_t layer) {
  const io::FamilyTraits& traits = config.traits();
  const io::TensorNames& names = traits.names;
  const std::string block = reader.prefix() + block_name(names, layer);
  const auto named = [&](std::string_view name) { return block + std::string(name); };
  const auto norm = [&](std::string_view name) {
    return name.empty() ? Norm{} : read_norm(reader, config, named(name));
  };
  const std::int64_t d = config.d_model, f = config.d_ff, queries = config.heads * config.head_dim,
                     keys = config.kv_heads * config.head_dim;
  const std::vector<std::int64_t> up = traits.gated_mlp ? std::vector{f, f} : std::vector{f};
  return {
      .attention_norm = norm(names.attention_norm),
      .query_key_value = reader.stack(parts_of(block, names.qkv, {queries, keys, keys}), d, config.qkv_bias),
      .query_norm = read_head_norm(reader, config, block, names.query_norm),
      .key_norm = read_head_norm(reader, config, block, names.key_norm),
      .attention_output = reader.stack({{named(names.attention_output), d}}, queries, config.attention_output_bias),
      .attention_post_norm = norm(names.attention_post_norm),
      .mlp_norm = norm(names.mlp_norm),
      .up = reader.stack(parts_of(block, names.up, up), d, config.mlp_bias),
      .down = reader.stack({{named(names.down), d}}, f, config.mlp_bias),
      .mlp_post_norm = norm(names.mlp_post_norm),
  };
}

}  // namespace

Transformer load_transformer(const io::ModelDirectory& directory, const LoadOptions& options) {
  const auto& config = directory.config();
  const io::FamilyTraits& traits = config.traits();
  const Reader reader(directory, options);
  const std::int64_t d = config.d_model, v = config.vocabulary;
  const std::string& prefix = reader.prefix();

  Transformer model;
  model.config = config;
  model.config.tied_head = !has_own_head(directory);
  model.stages = options.stages;
  model.forms = options.forms;
  const std::string embedding = embedding_name(directory);
  if (model.stages.is_first()) {
    model.token_embedding = reader.read(embedding, {v, d});
    if (traits.positions == io::PositionKind::learned) {
      const std::string positions = fmt::format("{}{}.weight", prefix, traits.names.position_embedding);
      model.position_embedding = reader.read(positions, {config.max_positions, d});
    }
  }
  if (traits.positions == io::PositionKind::rotary) model.rotary = rotary_frequencies(config, options.device);
  for (const std::int64_t layer : model.stages.own_layers(config.layers).layers()) {
    model.blocks.push_back(read_block(reader, config, layer));
  }
  if (model.stages.is_last()) {
    model.final_norm = read_norm(reader, config, prefix + std::string(traits.names.final_norm));
    const bool tied = model.config.tied_head;
    const bool is_here = tied && model.stages.is_first();
    model.head = is_here ? model.token_embedding : reader.read(tied ? embedding : "lm_head.weight", {v, d});
    if (traits.head_bias) model.head_bias = reader.read("lm_head.bias", {v});
  }
  return model;
}

torch::Tensor read_down_projection(const io::ModelDirectory& directory, std::int64_t layer) {
  const auto& config = directory.config();
  const Reader reader(directory, {.device = torch::kCPU, .dtype = torch::kFloat});
  return reader.read(down_projection_name(directory, layer), {config.d_model, config.d_ff},
                     config.traits().transposed_weights);
}

torch::Tensor mapped_down_projection(const io::ModelDirectory& directory, std::int64_t layer) {
  const auto stored = tensor_of(directory.weights().at(down_projection_name(directory, layer)));
  return directory.config().traits().transposed_weights ? stored.t() : stored;
}

}  // namespace anchorage::worker
