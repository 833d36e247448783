#include "launch/commands/requested_hparams.hpp"

#include <cctype>
#include <string_view>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/editing/unused_hparams.hpp"

namespace anchorage::launch {
namespace {

// Warns of each --set of a hyper-parameter that has no effect under this method and the other values.
void warn_of_unused_hparams(const std::vector<std::string>& assignments, const worker::Method& method,
                            const io::Hparams& hparams) {
  for (const std::string& assignment : assignments) {
    const auto key = assignment.substr(0, assignment.find('='));
    const auto missing = worker::unmet_condition(key, method, hparams);
    if (!missing.empty()) spdlog::warn("--set {} has no effect here: it is for {}", assignment, missing);
  }
}

// Normalizes a name: "AlphaEdit" and "alphaedit", "B-EAC" and "b_eac" are the same.
std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return bare;
}

}  // namespace

io::Hparams stated_hparams(const std::string& path, const std::vector<std::string>& assignments,
                           const worker::Method& method, const Session& session) {
  io::LoadedHparams loaded = path.empty() ? io::LoadedHparams{} : io::load_hparams(path);
  for (const std::string& assignment : assignments) io::set(loaded.hparams, assignment);
  if (!session.is_root()) return loaded.hparams;
  for (const io::IgnoredKey& key : loaded.ignored)
    spdlog::debug("{}: {} is ignored: {}", path, key.key, key.reason);
  if (!loaded.algorithm.empty() && bare_name(loaded.algorithm) != bare_name(method.name)) {
    spdlog::warn("{} is for {} (alg_name), but the method is {} (--method); its values are taken all the same",
                 path, loaded.algorithm, method.name);
  }
  warn_of_unused_hparams(assignments, method, loaded.hparams);
  return loaded.hparams;
}

io::Hparams requested_hparams(const std::string& path, const std::vector<std::string>& assignments,
                              const worker::Method& method, const io::ModelConfig& model, const Session& session) {
  if (path.empty()) {
    throw io::UserError({.expected = "a file of hyper-parameters",
                         .found = "none",
                         .where = "--hparams",
                         .remedy = "launch/hparams has ready ones"});
  }
  return io::resolve(stated_hparams(path, assignments, method, session), model, path, assignments);
}

}  // namespace anchorage::launch
