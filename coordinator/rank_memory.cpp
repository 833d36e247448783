#include "coordinator/rank_memory.hpp"

#include "sharding/edit_groups.hpp"
#include "sharding/slabs.hpp"
#include "sharding/stage_turns.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::int64_t f32 = 4, f64 = 8;
constexpr std::int64_t master_scratch_rows = 1024;  // of a master, while an update is added to it
constexpr std::int64_t squared_rows = 64;           // of a master, while it is measured how far it has moved
constexpr std::int64_t inverting_blocks = 4;
constexpr std::int64_t eigenvector_matrices = 4;  // [f, f] f64: the matrix, its vectors and LAPACK's workspace

// Of one token in one layer, from forward to backward (worker/model/fused_block): what enters its norms, queries,
// keys and values, the halves of the MLP, and the weights of attention, f32; with norms of heads what enters these.
std::int64_t kept_bytes(const io::ModelConfig& model, std::int64_t seen, std::int64_t weight) {
  const io::TensorNames& names = model.traits().names;
  const std::int64_t queries = model.heads * model.head_dim, keys = model.kv_heads * model.head_dim;
  const std::int64_t normed = block_norms(model) * model.d_model + (names.query_norm.empty() ? 0 : queries) +
                              (names.key_norm.empty() ? 0 : keys);
  const std::int64_t up = (model.traits().gated_mlp ? 2 : 1) * model.d_ff;
  return weight * (normed + queries + 2 * keys + up) + f32 * model.heads * seen;
}

std::int64_t most_groups(std::int64_t batch, std::int64_t group, int replicas) {
  return sharding::EditGroups(batch, group, replicas).groups_of_replica(replicas - 1).size();
}

}  // namespace

RankMemory::RankMemory(const Workload& workload, const Machine& machine, int stages, int replicas)
    : workload_(workload),
      machine_(machine),
      stages_(stages),
      ranks_(stages * replicas),
      tokens_(group_tokens(workload, machine)),
      groups_(most_groups(workload.batch, tokens_.edits, replicas)),
      in_flight_(sharding::groups_in_flight(groups_, stages)) {
  if (workload_.edited_layers() == 0) return;
  std::int64_t rows = 0;
  for (const sharding::Range& slab : sharding::slab_rows(workload_.model.d_ff)) rows = std::max(rows, slab.size());
  slab_bytes_ = f64 * rows * workload_.model.d_ff;
  block_bytes_ = f64 * rows * rows;
}

// Of every edited layer: keys [b, f] f32, products [f, b] f64, factor [b, f] f64, residuals [b, d] f32, the
// update's u [d, b] and v [f, b] f32. Of one at a time: K^T V, its factor and its inverse [b, b] f64. A rank that
// holds edited layers measures how far their weights have moved, some rows at a time.
std::int64_t RankMemory::batch_bytes(std::int64_t edited) const {
  const std::int64_t d = workload_.model.d_model, f = workload_.model.d_ff, b = workload_.batch;
  const std::int64_t layer = b * (f * (2 * f32 + 2 * f64) + d * 2 * f32);
  const std::int64_t moved = edited > 0 ? (2 * f32 + f64) * std::min(d, squared_rows) * f : 0;
  return workload_.edited_layers() * layer + 3 * f64 * b * b + moved;
}

// A row panel, and blocks that are factored and solved for, and those before them that cannot be used again. The
// eigenvectors of AlphaEdit's layers are dealt to the first ranks, which are the stages of the first replica.
std::int64_t RankMemory::starting_bytes(int stage) const {
  const std::int64_t f = workload_.model.d_ff;
  const std::int64_t inverting = slab_bytes_ + inverting_blocks * block_bytes_;
  const bool diagonalizes = workload_.null_space && stage < workload_.edited_layers();
  return std::max(inverting, diagonalizes ? eigenvector_matrices * f64 * f * f : 0);
}

std::int64_t RankMemory::cache_bytes(const sharding::StageLayers& layers) const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t after = workload_.step_layers(layers);
  const std::int64_t attention = tokens_.rows * past() * 2 * model.kv_heads * model.head_dim;
  const std::int64_t bytes = after * attention * workload_.weight_bytes;
  return bytes + (has_head(model, layers) ? tokens_.edits * model.vocabulary * f32 : 0);
}

RankBytes RankMemory::bytes(int stage, const sharding::StageLayers& layers, std::int64_t slabs) const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t d = model.d_model, f = model.d_ff, w = workload_.weight_bytes,
                     seen = past() + sharding::typical_suffix_tokens, after = workload_.step_layers(layers);
  const std::int64_t of_token = kept_bytes(model, seen, w);
  // Of the layer that is being computed on whole rows.
  const std::int64_t passing = tokens_.longest_whole * ((4 * f + 8 * d) * w + 8 * d);
  RankBytes bytes{.weights = weight_bytes_of(workload_, layers),
                  .activations = passing,
                  .runtime = machine_.runtime_bytes + (ranks_ > 1 ? machine_.exchange_bytes : 0) +
                             (w < f32 ? machine_.kernel_bytes : 0)};
  // Logits and their gradient; with a soft cap, f32, what enters its tanh, what leaves it and the gradients of
  // these.
  if (has_head(model, layers))
    bytes.caches = (model.head_cap > 0 ? 6 * f32 : 2 * w) * tokens_.predicted * model.vocabulary;
  if (workload_.edited_layers() == 0) return bytes;

  const std::int64_t edited = workload_.edited_in(layers), master = f32 * d * f;
  const std::int64_t base = machine_.is_gpu ? w * d * f : 0;  // on CPUs in the mapped file
  bytes.masters = edited * (master + base) + (edited > 0 ? f32 * std::min(d, master_scratch_rows) * f : 0);
  bytes.least_squares = slabs * slab_bytes_;
  bytes.starting = starting_bytes(stage);
  bytes.activations += sharding::groups_held(stage, stages_, in_flight_) * after * tokens_.longest_steps * of_token;
  // Of a group that is kept, those in flight narrow a copy.
  const std::int64_t kept = std::min(workload_.kept_groups, groups_);
  bytes.caches += (kept > 0 ? std::max(in_flight_, kept) + in_flight_ : in_flight_) * cache_bytes(layers);
  if (layers.contains(workload_.lower_layers())) {
    bytes.caches += groups_ * tokens_.longest_whole * d * w;
    bytes.subjects = groups_ * tokens_.prefix * d * w;
  }
  // Values, and with anchors their saliency and where they were located.
  bytes.subjects += 3 * groups_ * tokens_.edits * workload_.edited_layers() * d * f32;
  bytes.batch = batch_bytes(edited);
  bytes.checkpoint = machine_.is_gpu ? 0 : std::max(slab_bytes_, edited > 0 ? master : 0);
  return bytes;
}

}  // namespace anchorage::coordinator
