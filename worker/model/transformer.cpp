#include "worker/model/transformer.hpp"

#include <set>

#include "io/error.hpp"

namespace anchorage::worker {

std::int64_t Block::matrix_entries() const {
  return query_key_value.weight.numel() + attention_output.weight.numel() + up.weight.numel() + down.weight.numel();
}

const Block& Transformer::block(std::int64_t layer) const {
  io::check(holds(layer), fmt::format("layer {} is not held by stage {}", layer, stages.index()));
  return blocks[static_cast<std::size_t>(stages.place_of(layer))];
}

Block& Transformer::block(std::int64_t layer) {
  return const_cast<Block&>(std::as_const(*this).block(layer));
}

std::int64_t Transformer::bytes() const {
  std::vector<torch::Tensor> tensors = {token_embedding,
                                        position_embedding,
                                        rotary.frequencies,
                                        rotary.of_long_texts,
                                        rotary.of_local_layers,
                                        final_norm.weight,
                                        final_norm.bias,
                                        head,
                                        head_bias};
  for (const Block& block : blocks) {
    for (const Norm& norm : {block.attention_norm, block.query_norm, block.key_norm, block.attention_post_norm,
                             block.mlp_norm, block.mlp_post_norm}) {
      tensors.push_back(norm.weight);
      tensors.push_back(norm.bias);
    }
    for (const Linear& linear : {block.query_key_value, block.attention_output, block.up, block.down}) {
      tensors.push_back(linear.weight);
      tensors.push_back(linear.bias);
    }
  }
  std::set<const void*> counted;
  std::int64_t bytes = 0;
  for (const torch::Tensor& tensor : tensors) {
    if (!tensor.defined() || !counted.insert(tensor.storage().data()).second) continue;
    bytes += static_cast<std::int64_t>(tensor.storage().nbytes());
  }
  return bytes;
}

}  // namespace anchorage::worker
