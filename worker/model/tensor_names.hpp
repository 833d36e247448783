// The names of a model's tensors in its checkpoint, and what else a checkpoint has.
#pragma once

#include <string>
#include <vector>

#include "io/model/model_directory.hpp"

namespace anchorage::worker {

// What stands before each name but the head's: "transformer." or "model.", or nothing in a checkpoint that was
// saved without its head.
std::string tensor_prefix(const io::ModelDirectory& directory);

// The embedding matrix.
std::string embedding_name(const io::ModelDirectory& directory);

// True where the head is a matrix of its own. As in transformers, that is also so where config.json ties it to the
// embedding and the checkpoint has a head that differs.
bool has_own_head(const io::ModelDirectory& directory);

// The edited matrix of a layer ("model.layers.4.mlp.down_proj.weight").
std::string down_projection_name(const io::ModelDirectory& directory, std::int64_t layer);

// Tensors of the checkpoint that the model has no place for, sorted: layers beyond its number, biases that
// config.json denies, unknown ones. Masks and rotary frequencies that older versions of transformers saved are not
// among them, nor a head that is the tied embedding again.
std::vector<std::string> unused_tensors(const io::ModelDirectory& directory);

}  // namespace anchorage::worker
