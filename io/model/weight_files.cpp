#include "io/model/weight_files.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "io/error.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

// Which shard each tensor is in.
using WeightMap = std::map<std::string, std::string>;

[[noreturn]] void refuse_weights(std::string expected, std::string found, const fs::path& where) {
  throw UserError({.expected = std::move(expected),
                   .found = std::move(found),
                   .where = where.string(),
                   .remedy = "get or convert the model again"});
}

WeightMap read_index(const fs::path& path) {
  const MappedFile file(path);
  const nlohmann::json index = parse_strict_json(text_of(file.bytes()), path.string());
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    refuse_weights("an object 'weight_map' from tensors to shards", "none", path);
  }
  WeightMap map;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    if (!shard.is_string())
      refuse_weights(fmt::format("the shard's name for tensor '{}'", name), shown(shard), path);
    map.emplace(name, shard.get<std::string>());
  }
  if (map.empty()) refuse_weights("a 'weight_map' with tensors", "an empty one", path);
  return map;
}

// Refuses the name of a shard that does not lie beside its index.
void check_beside(const std::string& shard, const fs::path& index) {
  const bool names_file = !shard.empty() && shard != "." && shard != "..";
  const bool has_no_path = shard.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
  if (names_file && has_no_path) return;
  refuse_weights("shards named by plain file names", fmt::format("'{}'", shard), index);
}

// Checks that the index names as many shards as a shard's name says (model-00002-of-00003.safetensors).
void check_count(const std::set<std::string>& shards, const fs::path& index) {
  for (const std::string& shard : shards) {
    const std::size_t mark = shard.rfind("-of-");
    if (mark == std::string::npos) continue;
    const std::string ending = shard.substr(mark);
    std::ptrdiff_t told = 0;
    const auto parsed = std::from_chars(ending.data() + 4, ending.data() + ending.size(), told);
    if (parsed.ec != std::errc() || std::string_view(parsed.ptr) != ".safetensors") continue;
    const auto found =
        std::count_if(shards.begin(), shards.end(), [&](const auto& other) { return other.ends_with(ending); });
    if (found == told) continue;
    refuse_weights(fmt::format("{} shards, as the name {} says", told, shard), fmt::format("{}", found), index);
  }
}

std::set<std::string> shards_of(const WeightMap& map, const fs::path& index) {
  std::set<std::string> shards;
  for (const auto& [name, shard] : map) shards.insert(shard);
  for (const std::string& shard : shards) check_beside(shard, index);
  check_count(shards, index);
  return shards;
}

SafetensorsFile open_shard(const fs::path& path, const fs::path& index) {
  if (fs::exists(path)) return SafetensorsFile::open(path);
  refuse_weights(fmt::format("the shard {} that the index names", path.filename().string()), "none", index);
}

// Checks that each tensor lies in one shard only, the one that the index names for it. A tensor that the
// index does not name is accepted: transformers takes the list of shards from the index, and loads everything
// that they hold.
void check_agreement(const WeightMap& map, const std::vector<SafetensorsFile>& files, const fs::path& index) {
  WeightMap found;
  for (const SafetensorsFile& file : files) {
    const std::string shard = file.path().filename().string();
    for (const StoredTensor& tensor : file.tensors()) {
      const auto [first, is_new] = found.emplace(tensor.name, shard);
      if (!is_new)
        refuse_weights(fmt::format("tensor '{}' in one shard", tensor.name), first->second + " and " + shard,
                       index);
      const auto entry = map.find(tensor.name);
      if (entry == map.end() || entry->second == shard) continue;
      refuse_weights(fmt::format("{} for its tensor '{}'", shard, tensor.name), entry->second, index);
    }
  }
  for (const auto& [name, shard] : map) {
    if (!found.contains(name)) {
      refuse_weights(fmt::format("tensor '{}', which the index names", name), "none", index.parent_path() / shard);
    }
  }
}

// Says what a directory without safetensors weights has instead, and what to do.
[[noreturn]] void refuse_other_weights(const fs::path& directory) {
  const auto has_shards = [&](const fs::directory_entry& entry) {
    return entry.path().extension() == ".safetensors";
  };
  Diagnostic diagnostic{.expected = fmt::format("{} or {}", single_name, index_name),
                        .found = "neither",
                        .where = directory.string(),
                        .remedy = "get the model's weights too"};
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
                            "flax_model.msgpack", "consolidated.00.pth"}) {
    if (!fs::exists(directory / other)) continue;
    diagnostic.found = fmt::format("{}, weights in another form", other);
    diagnostic.remedy = fmt::format(
        "convert them with transformers: AutoModelForCausalLM.from_pretrained(\"{0}\", "
        "dtype=\"auto\").save_pretrained(\"{0}\")",
        directory.string());
    throw UserError(diagnostic);
  }
  if (std::ranges::any_of(fs::directory_iterator(directory), has_shards)) {
    diagnostic.found = "safetensors of other names";
    diagnostic.remedy = fmt::format("get {} too, or give a single file the name {}", index_name, single_name);
  }
  throw UserError(diagnostic);
}

}  // namespace

WeightFiles WeightFiles::open(const fs::path& directory) {
  const fs::path single = directory / single_name;
  const fs::path index = directory / index_name;
  if (fs::exists(single)) {
    std::vector<SafetensorsFile> files;
    files.push_back(SafetensorsFile::open(single));
    return {std::move(files), std::nullopt};
  }
  if (fs::exists(index)) {
    const WeightMap map = read_index(index);
    std::vector<SafetensorsFile> files;
    for (const std::string& shard : shards_of(map, index)) files.push_back(open_shard(directory / shard, index));
    check_agreement(map, files, index);
    return {std::move(files), index};
  }
  refuse_other_weights(directory);
}

WeightFiles::WeightFiles(std::vector<SafetensorsFile> files, std::optional<fs::path> index)
    : files_(std::move(files)), index_(std::move(index)) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    for (const StoredTensor& tensor : files_[i].tensors()) shard_of_.emplace(tensor.name, i);
  }
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  names.reserve(shard_of_.size());
  for (const auto& [name, shard] : shard_of_) names.push_back(name);
  return names;
}

const SafetensorsFile& WeightFiles::file_of(std::string_view name) const {
  const auto found = shard_of_.find(name);
  if (found != shard_of_.end()) return files_[found->second];
  throw UserError({.expected = fmt::format("the tensor '{}'", name),
                   .found = "no tensor of that name",
                   .where = (index_ ? *index_ : files_.front().path()).string(),
                   .remedy = "check that weights and config.json are of one model"});
}

}  // namespace anchorage::io
