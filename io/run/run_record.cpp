#include "io/run/run_record.hpp"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/text/strict_yaml.hpp"

namespace anchorage::io {
namespace {

const std::string run_schema = "anchorage-run/1";

// Whether a literal block ("|") preserves the text.
bool is_literal_block(const std::string& text) {
  if (text.size() < 2 || !text.ends_with('\n') || text.ends_with("\n\n")) return false;
  return text[0] != ' ' && text[0] != '\n' && text.find_first_of("\r\t") == std::string::npos;
}

std::string to_yaml(const RunRecord& record) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "schema" << YAML::Value << run_schema;
  out << YAML::Key << "model" << YAML::Value << record.model;
  out << YAML::Key << "edits" << YAML::Value << record.edits;
  out << YAML::Key << "format" << YAML::Value << record.format;
  if (!record.chat_template.empty()) out << YAML::Key << "chat_template" << YAML::Value << record.chat_template;
  out << YAML::Key << "statistics" << YAML::Value << record.statistics;
  out << YAML::Key << "method" << YAML::Value << record.method;
  out << YAML::Key << "batch_size" << YAML::Value << record.batch_size;
  out << YAML::Key << "seed" << YAML::Value << record.seed;
  out << YAML::Key << "threads" << YAML::Value << record.threads;
  out << YAML::Key << "group" << YAML::Value << record.group;
  out << YAML::Key << "dtype" << YAML::Value << record.dtype;
  out << YAML::Key << "device" << YAML::Value << record.device;
  if (!record.reference_kernels.empty())
    out << YAML::Key << "reference_kernels" << YAML::Value << YAML::Flow << record.reference_kernels;
  if (!record.canaries.empty()) out << YAML::Key << "canaries" << YAML::Value << record.canaries;
  if (record.require_approval) out << YAML::Key << "require_approval" << YAML::Value << true;
  out << YAML::Key << "fingerprints" << YAML::Value << record.fingerprints;
  out << YAML::Key << "versions" << YAML::Value << record.versions;
  if (record.protection) {
    out << YAML::Key << "protect" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "file" << YAML::Value << record.protection->file;
    out << YAML::Key << "digest" << YAML::Value << record.protection->digest;
    out << YAML::Key << "keys" << YAML::Value << record.protection->keys;
    out << YAML::EndMap;
  }
  const YAML::EMITTER_MANIP style = is_literal_block(record.hparams) ? YAML::Literal : YAML::DoubleQuoted;
  out << YAML::Key << "hparams" << YAML::Value << style << record.hparams;
  out << YAML::EndMap;
  check(out.good(), "run.yaml: " + out.GetLastError());
  return std::string(out.c_str()) + "\n";
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (file) return text.str();
  if (errno != ENOENT) throw SystemError::from_errno(errno, "read", path.string());
  throw UserError({.expected = "a run directory with its run.yaml",
                   .found = "no such file",
                   .where = path.string(),
                   .remedy = "check the path, or start the run without --resume"});
}

template <class T>
T member_of(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = map[key];
  if (!node) throw YAML::RepresentationException(YAML::Mark::null_mark(), "no key '" + key + "'");
  return node.as<T>();
}

std::optional<ProtectedFacts> protection_from_yaml(const YAML::Node& map) {
  if (!map) return std::nullopt;
  return ProtectedFacts{.file = member_of<std::string>(map, "file"),
                        .digest = member_of<std::string>(map, "digest"),
                        .keys = member_of<std::string>(map, "keys")};
}

RunRecord from_yaml(const YAML::Node& map) {
  return {.model = member_of<std::string>(map, "model"),
          .edits = member_of<std::vector<std::string>>(map, "edits"),
          .format = member_of<std::string>(map, "format"),
          .chat_template = map["chat_template"] ? member_of<std::string>(map, "chat_template") : "",
          .statistics = member_of<std::string>(map, "statistics"),
          .method = member_of<std::string>(map, "method"),
          .hparams = member_of<std::string>(map, "hparams"),
          .batch_size = member_of<std::int64_t>(map, "batch_size"),
          .seed = member_of<std::int64_t>(map, "seed"),
          .threads = member_of<std::int64_t>(map, "threads"),
          .group = member_of<std::int64_t>(map, "group"),
          .dtype = member_of<std::string>(map, "dtype"),
          .device = member_of<std::string>(map, "device"),
          .reference_kernels = map["reference_kernels"]
                                   ? member_of<std::vector<std::string>>(map, "reference_kernels")
                                   : std::vector<std::string>{},
          .fingerprints = member_of<std::map<std::string, std::string>>(map, "fingerprints"),
          .versions = member_of<std::map<std::string, std::string>>(map, "versions"),
          .protection = protection_from_yaml(map["protect"]),
          .canaries = map["canaries"] ? member_of<std::string>(map, "canaries") : std::string(),
          .require_approval = map["require_approval"] && member_of<bool>(map, "require_approval")};
}

}  // namespace

void write_run_record(const std::filesystem::path& path, const RunRecord& record) {
  write_file_atomically(path, to_yaml(record));
}

RunRecord read_run_record(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  const std::string remedy = "fix the file, or put it back from a copy";
  try {
    const YAML::Node map = parse_strict_yaml(
        text, {.expected = "the record of a run", .found = {}, .where = path.string(), .remedy = remedy});
    const auto found = member_of<std::string>(map, "schema");
    if (found == run_schema) return from_yaml(map);
    throw UserError({.expected = "schema " + run_schema,
                     .found = found,
                     .where = path.string(),
                     .remedy = "use the version of anchorage that wrote it"});
  } catch (const YAML::Exception& error) {
    throw UserError(
        {.expected = "the record of a run", .found = error.what(), .where = path.string(), .remedy = remedy});
  }
}

}  // namespace anchorage::io
