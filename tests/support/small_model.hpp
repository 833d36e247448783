// A model directory with three tensors of three dtypes: no model to run, but one to open, to copy and to edit.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "io/model/float_conversion.hpp"
#include "tests/support/safetensors_writer.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::tests {

enum class Layout { one_file, two_shards };

struct SmallModel {
  Layout layout = Layout::one_file;
  float first_weight = 1.0F;  // of tensor 'a', f32 [2, 2]
  float last_weight = 1.0F;   // of tensor 'c', f16 [2]; between them 'b', bf16 [3]
  double rope_theta = 10.0;
};

inline void write_small_model(const TemporaryDirectory& directory, const SmallModel& model = {}) {
  const auto a = io::encode(std::vector<float>{model.first_weight, 2.0F, 3.0F, 4.0F}, io::DType::f32);
  const auto b = io::encode(std::vector<float>{1.0F, 2.0F, 3.0F}, io::DType::bf16);
  const auto c = io::encode(std::vector<float>{-1.0F, model.last_weight}, io::DType::f16);
  const NamedTensor tensor_a{"a", {io::DType::f32, {2, 2}, a}};
  const NamedTensor tensor_b{"b", {io::DType::bf16, {3}, b}};
  const NamedTensor tensor_c{"c", {io::DType::f16, {2}, c}};
  if (model.layout == Layout::one_file) {
    write_safetensors(directory.path() / "model.safetensors", std::vector{tensor_a, tensor_b, tensor_c});
  } else {
    write_safetensors(directory.path() / "model-00001-of-00002.safetensors", std::vector{tensor_c, tensor_a});
    write_safetensors(directory.path() / "model-00002-of-00002.safetensors", std::vector{tensor_b});
    directory.write("model.safetensors.index.json", R"({"metadata":{"total_size":26},"weight_map":{
      "a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors",
      "c":"model-00001-of-00002.safetensors"}})");
  }
  directory.write("config.json",
                  fmt::format(R"({{"model_type":"llama","num_hidden_layers":1,"hidden_size":2,"intermediate_size":2,
                                   "num_attention_heads":1,"vocab_size":4,"max_position_embeddings":8,
                                   "rope_theta":{}}})",
                              model.rope_theta));
  directory.write("tokenizer.json", "{}");
}

}  // namespace anchorage::tests
