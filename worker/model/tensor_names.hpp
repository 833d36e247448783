// The names of a model's tensors in its checkpoint, and the checkpoint's other tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/model/model_directory.hpp"

namespace anchorage::worker {

// Returns the prefix of each name but the head's: "transformer." or "model.", or nothing in a checkpoint that
// was saved without its head. Of a model with vision either of two: "language_model.model.", as transformers saves
// it, or "model.language_model.", as its modules are called.
std::string tensor_prefix(const io::ModelDirectory& directory);

// Returns the name of a block, without the prefix: "h.4." or "layers.4.".
std::string block_name(const io::TensorNames& names, std::int64_t layer);

// Returns the name of the embedding matrix.
std::string embedding_name(const io::ModelDirectory& directory);

// Whether the head is a matrix of its own. As in transformers, it is also where config.json ties it to the
// embedding and the checkpoint has a head that differs.
bool has_own_head(const io::ModelDirectory& directory);

// Returns the name of the edited matrix of a layer ("model.layers.4.mlp.down_proj.weight").
std::string down_projection_name(const io::ModelDirectory& directory, std::int64_t layer);

// Lists the checkpoint's tensors that the model does not use, sorted: layers beyond its number, biases that
// config.json denies, unknown ones. Leaves out masks and rotary frequencies that older versions of transformers
// saved, a head that repeats the tied embedding, and what belongs to another model beside the text's (vision).
std::vector<std::string> unused_tensors(const io::ModelDirectory& directory);

}  // namespace anchorage::worker
