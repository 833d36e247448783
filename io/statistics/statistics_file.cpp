#include "io/statistics/statistics_file.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"
#include "io/hdf5/file.hpp"
#include "io/layer_numbers.hpp"
#include "io/model/finite_values.hpp"

namespace anchorage::io {
namespace {

using hdf5::any;
using hdf5::Group;

const std::string statistics_schema = "anchorage-statistics/1";

std::string name_of(StatisticsState state) {
  return state == StatisticsState::finished ? "finished" : "collecting";
}

std::string words(const StatisticsFingerprint& fingerprint) {
  return fmt::format("model {} ({:.12}) with tokenizer {:.12}", fingerprint.model_name, fingerprint.model,
                     fingerprint.tokenizer);
}

// --- Numbers that are not finite are neither written nor read

constexpr const char* why_not_finite = "look at the model's weights, or load it with --dtype bf16 or fp32";
constexpr const char* collect_again = "remove the file and collect the statistics again";

// `what` names the values: "the sum of layer 4", ...
void require_finite_square(std::span<const double> values, std::int64_t size, const std::string& what,
                           const std::filesystem::path& path, const char* remedy) {
  require_finite(values, std::vector{size, size}, what, path.string(), remedy);
}
void require_finite_matrix(const Matrix& matrix, const std::string& what, const std::filesystem::path& path,
                           const char* remedy) {
  require_finite(matrix.values, std::vector{matrix.rows, matrix.columns}, what, path.string(), remedy);
}
void require_finite_norms(const std::vector<float>& norms, const std::filesystem::path& path, const char* remedy) {
  require_finite(norms, std::vector{std::ssize(norms)}, "norms of the residual stream", path.string(), remedy);
}
std::string sum_of(const SummedLayer& layer) {
  return fmt::format("a sum of keys of layer {}", layer.layer);
}
std::string moment_of(std::int64_t layer) {
  return fmt::format("a second moment of layer {}", layer);
}
std::string subject_moment_of(std::int64_t layer) {
  return fmt::format("a second moment of subjects of layer {}", layer);
}

// --- Names of datasets

constexpr const char* moment_name = "moment";
constexpr const char* subject_moment_name = "subject_moment";

// --- Writing

void write_head(Group& root, StatisticsState state, const StatisticsFingerprint& fingerprint, std::int64_t tokens) {
  root.set_attribute("schema", statistics_schema);
  root.set_attribute("state", name_of(state));
  root.set_attribute("model_name", fingerprint.model_name);
  root.set_attribute("model", fingerprint.model);
  root.set_attribute("tokenizer", fingerprint.tokenizer);
  root.set_attribute("corpus", fingerprint.corpus);
  root.set_attribute("sequence_length", fingerprint.sequence_length);
  root.set_attribute("tokens", tokens);
}

void put_in_place(const std::filesystem::path& path, hdf5::NewFile& content) {
  AtomicFile file(path);
  file.write(content.bytes());
  file.commit();
}

// --- Reading

Group open_root(const std::filesystem::path& path) {
  const hdf5::File file = hdf5::File::open(path);
  const Group& root = file.root();
  const std::string found = root.has_attribute("schema") ? root.text_attribute("schema") : "none";
  if (found == statistics_schema) return root;
  throw UserError({.expected = "a statistics file (schema " + statistics_schema + ")",
                   .found = "schema " + found,
                   .where = path.string(),
                   .remedy = "collect statistics with `anchorage stats`"});
}

StatisticsState state_of(const Group& root) {
  return root.text_attribute("state") == name_of(StatisticsState::finished) ? StatisticsState::finished
                                                                            : StatisticsState::collecting;
}

StatisticsFingerprint read_fingerprint(const Group& root) {
  return {.model_name = root.text_attribute("model_name"),
          .model = root.text_attribute("model"),
          .tokenizer = root.text_attribute("tokenizer"),
          .corpus = root.text_attribute("corpus"),
          .sequence_length = root.integer_attribute("sequence_length")};
}

std::optional<SubjectRows> read_subject_rows(const Group& root) {
  if (!root.has_attribute("subjects")) return std::nullopt;
  return SubjectRows{.list = root.text_attribute("subjects"), .rows = root.integer_attribute("subject_rows")};
}

StatisticsProgress read_progress(const Group& root, const std::filesystem::path& path) {
  StatisticsProgress progress{.fingerprint = read_fingerprint(root),
                              .tokens = root.integer_attribute("tokens"),
                              .target_tokens = root.integer_attribute("target_tokens"),
                              .position = root.integer_attribute("position"),
                              .layers = {},
                              .residual_norms = root.read_matrix("residual_norms", any, any)};
  require_finite_matrix(progress.residual_norms, "norms of the residual stream", path, collect_again);
  const Group layers = root.group("layers");
  for (const std::int64_t layer : layer_numbers(layers, path.string()))
    progress.layers.push_back({.layer = layer, .size = layers.group(std::to_string(layer)).shape("sum").front()});
  return progress;
}

// --- Resuming

[[noreturn]] void refuse_to_resume(const std::string& expected, const std::string& found,
                                   const std::filesystem::path& path) {
  throw UserError({.expected = "the unfinished statistics of " + expected,
                   .found = "those of " + found,
                   .where = path.string(),
                   .remedy = "give another output file, or remove this one to begin again"});
}

std::string words(const std::vector<SummedLayer>& layers) {
  std::vector<std::string> named;
  named.reserve(layers.size());
  for (const SummedLayer& layer : layers)
    named.push_back(fmt::format("{} [{}, {}]", layer.layer, layer.size, layer.size));
  return fmt::format("layers {}", fmt::join(named, ", "));
}

void require_same_collection(const StatisticsProgress& found, const StatisticsProgress& expected,
                             const std::filesystem::path& path) {
  const StatisticsFingerprint &f = found.fingerprint, &e = expected.fingerprint;
  if (f.model != e.model || f.tokenizer != e.tokenizer) refuse_to_resume(words(e), words(f), path);
  if (f.corpus != e.corpus) {
    refuse_to_resume(fmt::format("corpus {:.12}", e.corpus), fmt::format("corpus {:.12}", f.corpus), path);
  }
  if (f.sequence_length != e.sequence_length) {
    refuse_to_resume(fmt::format("sequences of {} tokens", e.sequence_length),
                     fmt::format("sequences of {} tokens", f.sequence_length), path);
  }
  if (found.layers != expected.layers) refuse_to_resume(words(expected.layers), words(found.layers), path);
}

}  // namespace

StatisticsState statistics_state(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return StatisticsState::absent;
  return state_of(open_root(path));
}

struct ProgressWriter::Content {
  std::filesystem::path path;
  hdf5::NewFile file;
  Group layers;
};

ProgressWriter::ProgressWriter(const std::filesystem::path& path, const StatisticsProgress& progress) {
  require_finite_matrix(progress.residual_norms, "norms of the residual stream", path, why_not_finite);
  hdf5::NewFile file(path);
  write_head(file.root(), StatisticsState::collecting, progress.fingerprint, progress.tokens);
  file.root().set_attribute("target_tokens", progress.target_tokens);
  file.root().set_attribute("position", progress.position);
  file.root().write("residual_norms", progress.residual_norms);
  Group layers = file.root().create_group("layers");
  content_ = std::make_unique<Content>(Content{.path = path, .file = std::move(file), .layers = std::move(layers)});
}
ProgressWriter::~ProgressWriter() = default;
ProgressWriter::ProgressWriter(ProgressWriter&&) noexcept = default;
ProgressWriter& ProgressWriter::operator=(ProgressWriter&&) noexcept = default;

void ProgressWriter::add(const SummedLayer& layer, std::span<const double> sum) {
  require_finite_square(sum, layer.size, sum_of(layer), content_->path, why_not_finite);
  content_->layers.create_group(std::to_string(layer.layer)).write("sum", sum, {layer.size, layer.size});
}

void ProgressWriter::commit() {
  put_in_place(content_->path, content_->file);
}

void save_statistics(const std::filesystem::path& path, const Statistics& statistics) {
  hdf5::NewFile content(path);
  write_head(content.root(), StatisticsState::finished, statistics.fingerprint, statistics.tokens);
  require_finite_norms(statistics.residual_norm_median, path, why_not_finite);
  content.root().write("residual_norm_median", statistics.residual_norm_median);
  Group layers = content.root().create_group("layers");
  for (const SecondMoment& moment : statistics.moments) {
    require_finite_matrix(moment.moment, moment_of(moment.layer), path, why_not_finite);
    layers.create_group(std::to_string(moment.layer)).write(moment_name, moment.moment);
  }
  put_in_place(path, content);
}

StatisticsProgress create_or_resume(const std::filesystem::path& path, const StatisticsProgress& expected) {
  StatisticsProgress start = expected;
  std::ranges::sort(start.layers, {}, &SummedLayer::layer);
  if (!std::filesystem::exists(path)) return start;
  const Group root = open_root(path);
  if (state_of(root) == StatisticsState::finished) {
    throw UserError({.expected = "unfinished statistics or no file",
                     .found = fmt::format("finished statistics of {}", words(read_fingerprint(root))),
                     .where = path.string(),
                     .remedy = "use them, or give another output file"});
  }
  StatisticsProgress progress = read_progress(root, path);
  require_same_collection(progress, start, path);
  progress.target_tokens = expected.target_tokens;
  return progress;
}

std::vector<double> read_key_sum(const std::filesystem::path& path, const SummedLayer& layer) {
  const Group group = open_root(path).group("layers").group(std::to_string(layer.layer));
  auto sum = group.read<double>("sum", {layer.size, layer.size});
  require_finite_square(sum, layer.size, sum_of(layer), path, collect_again);
  return sum;
}

struct StatisticsFile::Content {
  std::string name;
  Group root;
  StatisticsFingerprint fingerprint;
  std::int64_t tokens;
  std::vector<std::int64_t> layers;
  std::vector<float> residual_norm_median;
  std::optional<SubjectRows> subjects;
  std::string digest_without_subjects;
};

StatisticsFile StatisticsFile::load(const std::filesystem::path& path) {
  Group root = open_root(path);
  const std::int64_t tokens = root.integer_attribute("tokens");
  if (state_of(root) != StatisticsState::finished) {
    throw UserError(
        {.expected = "finished statistics",
         .found = fmt::format("a collection at {} of {} tokens", tokens, root.integer_attribute("target_tokens")),
         .where = path.string(),
         .remedy = "run the same `anchorage stats` command again: it continues where it stopped"});
  }
  auto norms = root.read<float>("residual_norm_median", {any});
  require_finite_norms(norms, path, collect_again);
  auto subjects = read_subject_rows(root);
  std::string before = subjects ? root.text_attribute("without_subjects") : "";
  return StatisticsFile(
      std::make_unique<Content>(Content{.name = path.string(),
                                        .root = root,
                                        .fingerprint = read_fingerprint(root),
                                        .tokens = tokens,
                                        .layers = layer_numbers(root.group("layers"), path.string()),
                                        .residual_norm_median = std::move(norms),
                                        .subjects = std::move(subjects),
                                        .digest_without_subjects = std::move(before)}));
}

StatisticsFile::StatisticsFile(std::unique_ptr<Content> content) : content_(std::move(content)) {}
StatisticsFile::~StatisticsFile() = default;
StatisticsFile::StatisticsFile(StatisticsFile&&) noexcept = default;
StatisticsFile& StatisticsFile::operator=(StatisticsFile&&) noexcept = default;

const StatisticsFingerprint& StatisticsFile::fingerprint() const {
  return content_->fingerprint;
}
std::int64_t StatisticsFile::tokens() const {
  return content_->tokens;
}
std::vector<std::int64_t> StatisticsFile::layers() const {
  return content_->layers;
}
const std::vector<float>& StatisticsFile::residual_norm_median() const {
  return content_->residual_norm_median;
}

void StatisticsFile::require_layer(std::int64_t layer) const {
  if (std::ranges::find(content_->layers, layer) == content_->layers.end()) {
    throw UserError({.expected = fmt::format("statistics of layer {}", layer),
                     .found = fmt::format("those of layers {}", fmt::join(content_->layers, ", ")),
                     .where = content_->name,
                     .remedy = "collect them with `anchorage stats --layers`, or edit other layers"});
  }
}

SecondMoment StatisticsFile::whole(std::int64_t layer, const char* name, const std::string& what) const {
  require_layer(layer);
  const Group group = content_->root.group("layers").group(std::to_string(layer));
  const std::int64_t size = group.shape(name).front();
  SecondMoment moment{.layer = layer, .moment = group.read_matrix(name, size, size)};
  require_finite_matrix(moment.moment, what, content_->name, collect_again);
  return moment;
}

Matrix StatisticsFile::rows(std::int64_t layer, const char* name, const std::string& what, std::int64_t begin,
                            std::int64_t end) const {
  require_layer(layer);
  const Group group = content_->root.group("layers").group(std::to_string(layer));
  Matrix rows = group.read_rows(name, begin, end, group.shape(name).front());
  require_finite_matrix(rows, fmt::format("{}, counted from row {}", what, begin), content_->name, collect_again);
  return rows;
}

SecondMoment StatisticsFile::moment(std::int64_t layer) const {
  return whole(layer, moment_name, moment_of(layer));
}

Matrix StatisticsFile::moment_rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const {
  return rows(layer, moment_name, moment_of(layer), begin, end);
}

const std::optional<SubjectRows>& StatisticsFile::subjects() const {
  return content_->subjects;
}
const std::string& StatisticsFile::digest_without_subjects() const {
  return content_->digest_without_subjects;
}

bool StatisticsFile::has_subjects_of(const std::string& list) const {
  const auto& subjects = content_->subjects;
  if (!subjects || subjects->list == list) return subjects.has_value();
  throw UserError({.expected = fmt::format("second moments of the subjects of list {:.12}, or of none", list),
                   .found = fmt::format("those of list {:.12}, from {} prompts", subjects->list, subjects->rows),
                   .where = content_->name,
                   .remedy = "give the list that they were collected with, or another output file (--out)"});
}

void StatisticsFile::require_subjects() const {
  if (content_->subjects) return;
  throw UserError({.expected = "second moments of subjects, since subject_share is above 0",
                   .found = "those of general text alone",
                   .where = content_->name,
                   .remedy = "add them with 'anchorage stats --subjects', or set subject_share to 0"});
}

SecondMoment StatisticsFile::subject_moment(std::int64_t layer) const {
  require_subjects();
  return whole(layer, subject_moment_name, subject_moment_of(layer));
}

Matrix StatisticsFile::subject_moment_rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const {
  require_subjects();
  return rows(layer, subject_moment_name, subject_moment_of(layer), begin, end);
}

void StatisticsFile::check_fingerprint(const StatisticsFingerprint& expected) const {
  const StatisticsFingerprint& found = content_->fingerprint;
  if (found.model == expected.model && found.tokenizer == expected.tokenizer) return;
  throw UserError({.expected = "statistics of " + words(expected),
                   .found = "statistics of " + words(found),
                   .where = content_->name,
                   .remedy = "collect statistics for this model with `anchorage stats`"});
}

// --- Adding subjects

struct SubjectMomentsWriter::Content {
  std::filesystem::path path;
  StatisticsFile before;
  hdf5::NewFile file;
  Group layers;
  std::size_t added = 0;
};

namespace {

std::size_t bytes_of_moments(const StatisticsFile& file) {
  std::size_t bytes = 0;
  for (const std::int64_t layer : file.layers()) {
    const auto width = static_cast<std::size_t>(file.moment_rows(layer, 0, 0).columns);
    bytes += width * width * sizeof(float);
  }
  return bytes;
}

}  // namespace

SubjectMomentsWriter::SubjectMomentsWriter(const std::filesystem::path& path, const SubjectRows& rows) {
  StatisticsFile before = StatisticsFile::load(path);
  check(!before.subjects(), "second moments of subjects are added once");
  hdf5::NewFile file(path, 2 * bytes_of_moments(before));
  Group& root = file.root();
  write_head(root, StatisticsState::finished, before.fingerprint(), before.tokens());
  root.set_attribute("subjects", rows.list);
  root.set_attribute("subject_rows", rows.rows);
  root.set_attribute("without_subjects", sha256_of_file(path));
  root.write("residual_norm_median", before.residual_norm_median());
  Group layers = root.create_group("layers");
  content_ = std::make_unique<Content>(
      Content{.path = path, .before = std::move(before), .file = std::move(file), .layers = std::move(layers)});
}
SubjectMomentsWriter::~SubjectMomentsWriter() = default;
SubjectMomentsWriter::SubjectMomentsWriter(SubjectMomentsWriter&&) noexcept = default;
SubjectMomentsWriter& SubjectMomentsWriter::operator=(SubjectMomentsWriter&&) noexcept = default;

void SubjectMomentsWriter::add(const SecondMoment& moment) {
  require_finite_matrix(moment.moment, subject_moment_of(moment.layer), content_->path, why_not_finite);
  const Matrix text = content_->before.moment(moment.layer).moment;
  check(text.rows == moment.moment.rows && text.columns == moment.moment.columns,
        fmt::format("second moments of layer {} of one size", moment.layer));
  Group layer = content_->layers.create_group(std::to_string(moment.layer));
  layer.write(moment_name, text);
  layer.write(subject_moment_name, moment.moment);
  ++content_->added;
}

void SubjectMomentsWriter::commit() {
  check(content_->added == content_->before.layers().size(), "second moments of subjects for every layer");
  put_in_place(content_->path, content_->file);
}

}  // namespace anchorage::io
