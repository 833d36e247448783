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

// Opening maps every shard and checks its header, so that a missing or damaged shard is told at once; no tensor is
// read before it is touched. Like transformers, model.safetensors wins where a directory has both layouts.
class WeightFiles {
 public:
  // Errors: UserError for a directory without weights (told with what it has instead), an index that is not as it
  // should be, a shard that is missing from the index or from the disk, a tensor that is not in the shard which the
  // index names for it, and one that is in two. Tensors that the index does not name are taken as they are found.
  static WeightFiles open(const std::filesystem::path& directory);

  std::vector<std::string> names() const;  // sorted
  bool contains(std::string_view name) const { return shard_of_.contains(name); }
  // As SafetensorsFile's.
  TensorView at(std::string_view name) const { return file_of(name).at(name); }
  const StoredTensor& stored(std::string_view name) const { return file_of(name).stored(name); }
  const std::filesystem::path& path_of(std::string_view name) const { return file_of(name).path(); }

  const std::vector<SafetensorsFile>& files() const { return files_; }
  // The index, where the weights are in shards.
  const std::optional<std::filesystem::path>& index() const { return index_; }

 private:
  WeightFiles(std::vector<SafetensorsFile> files, std::optional<std::filesystem::path> index);
  const SafetensorsFile& file_of(std::string_view name) const;

  std::vector<SafetensorsFile> files_;
  std::optional<std::filesystem::path> index_;
  std::map<std::string, std::size_t, std::less<>> shard_of_;  // name -> place in files_
};

}  // namespace anchorage::io
