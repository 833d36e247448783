// The weights of a Hugging Face directory: one model.safetensors, or shards with model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/model/safetensors.hpp"

namespace anchorage::io {

// Opening maps every shard and checks its header, so that a missing or damaged shard is reported at once; no
// tensor is read before it is touched. Where a directory has both layouts, model.safetensors wins, as in
// transformers.
class WeightFiles {
 public:
  // Errors: UserError for a directory without weights (naming what it has instead), a malformed index, a
  // shard that is missing from the index or from the disk, a tensor that is not in the shard which the index
  // names for it, and a tensor that is in two shards. Tensors that the index does not name are taken from
  // where they are found.
  static WeightFiles open(const std::filesystem::path& directory);

  std::vector<std::string> names() const;  // sorted
  bool contains(std::string_view name) const { return shard_of_.contains(name); }
  // These behave as in SafetensorsFile.
  TensorView at(std::string_view name) const { return file_of(name).at(name); }
  const StoredTensor& stored(std::string_view name) const { return file_of(name).stored(name); }
  const std::filesystem::path& path_of(std::string_view name) const { return file_of(name).path(); }

  const std::vector<SafetensorsFile>& files() const { return files_; }
  // Returns the index where the weights are in shards.
  const std::optional<std::filesystem::path>& index() const { return index_; }

 private:
  WeightFiles(std::vector<SafetensorsFile> files, std::optional<std::filesystem::path> index);
  const SafetensorsFile& file_of(std::string_view name) const;

  std::vector<SafetensorsFile> files_;
  std::optional<std::filesystem::path> index_;
  std::map<std::string, std::size_t, std::less<>> shard_of_;  // name -> index in files_
};

}  // namespace anchorage::io
