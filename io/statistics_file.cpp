#include "io/statistics_file.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/ranges.h>

#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/hdf5/file.hpp"

namespace anchorage::io {
namespace {

using hdf5::any;
using hdf5::Group;

const std::string schema = "anchorage-statistics/1";

std::string name_of(StatisticsState state) {
  return state == StatisticsState::finished ? "finished" : "collecting";
}

std::string words(const StatisticsFingerprint& fingerprint) {
  return fmt::format("model {} ({:.12}) with tokenizer {:.12}", fingerprint.model_name, fingerprint.model,
                     fingerprint.tokenizer);
}

// --- Writing

void write_head(Group& root, StatisticsState state, const StatisticsFingerprint& fingerprint, std::int64_t tokens) {
  root.set_attribute("schema", schema);
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
  if (found == schema) return root;
  throw UserError({.expected = "a statistics file (schema " + schema + ")",
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

std::vector<std::int64_t> layer_numbers(const Group& layers) {
  std::vector<std::int64_t> numbers;
  for (const std::string& name : layers.children()) {
    std::int64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

StatisticsProgress read_progress(const Group& root) {
  StatisticsProgress progress{.fingerprint = read_fingerprint(root),
                              .tokens = root.integer_attribute("tokens"),
                              .target_tokens = root.integer_attribute("target_tokens"),
                              .position = root.integer_attribute("position"),
                              .sums = {},
                              .residual_norms = root.read_matrix("residual_norms", any, any)};
  const Group layers = root.group("layers");
  for (const std::int64_t layer : layer_numbers(layers)) {
    const Group group = layers.group(std::to_string(layer));
    const std::int64_t size = group.shape("sum").front();
    progress.sums.push_back({.layer = layer, .size = size, .sum = group.read<double>("sum", {size, size})});
  }
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

std::string words(const std::vector<KeySum>& sums) {
  std::vector<std::string> layers;
  layers.reserve(sums.size());
  for (const KeySum& sum : sums) layers.push_back(fmt::format("{} [{}, {}]", sum.layer, sum.size, sum.size));
  return fmt::format("layers {}", fmt::join(layers, ", "));
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
  const bool same_layers = std::ranges::equal(found.sums, expected.sums, [](const KeySum& a, const KeySum& b) {
    return a.layer == b.layer && a.size == b.size;
  });
  if (!same_layers) refuse_to_resume(words(expected.sums), words(found.sums), path);
}

}  // namespace

StatisticsState statistics_state(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return StatisticsState::absent;
  return state_of(open_root(path));
}

void save_progress(const std::filesystem::path& path, const StatisticsProgress& progress) {
  hdf5::NewFile content(path);
  write_head(content.root(), StatisticsState::collecting, progress.fingerprint, progress.tokens);
  content.root().set_attribute("target_tokens", progress.target_tokens);
  content.root().set_attribute("position", progress.position);
  content.root().write("residual_norms", progress.residual_norms);
  Group layers = content.root().create_group("layers");
  for (const KeySum& sum : progress.sums) {
    layers.create_group(std::to_string(sum.layer))
        .write("sum", std::span<const double>(sum.sum), {sum.size, sum.size});
  }
  put_in_place(path, content);
}

void save_statistics(const std::filesystem::path& path, const Statistics& statistics) {
  hdf5::NewFile content(path);
  write_head(content.root(), StatisticsState::finished, statistics.fingerprint, statistics.tokens);
  content.root().write("residual_norm_median", statistics.residual_norm_median);
  Group layers = content.root().create_group("layers");
  for (const SecondMoment& moment : statistics.moments) {
    layers.create_group(std::to_string(moment.layer)).write("moment", moment.moment);
  }
  put_in_place(path, content);
}

StatisticsProgress create_or_resume(const std::filesystem::path& path, const StatisticsProgress& expected) {
  StatisticsProgress start = expected;
  std::ranges::sort(start.sums, {}, &KeySum::layer);
  if (!std::filesystem::exists(path)) {
    for (KeySum& sum : start.sums) sum.sum.assign(static_cast<std::size_t>(sum.size * sum.size), 0.0);
    return start;
  }
  const Group root = open_root(path);
  if (state_of(root) == StatisticsState::finished) {
    throw UserError({.expected = "unfinished statistics or no file",
                     .found = fmt::format("finished statistics of {}", words(read_fingerprint(root))),
                     .where = path.string(),
                     .remedy = "use them, or give another output file"});
  }
  StatisticsProgress progress = read_progress(root);
  require_same_collection(progress, start, path);
  progress.target_tokens = expected.target_tokens;
  return progress;
}

struct StatisticsFile::Content {
  std::string name;
  Group root;
  StatisticsFingerprint fingerprint;
  std::int64_t tokens;
  std::vector<std::int64_t> layers;
  std::vector<float> residual_norm_median;
};

StatisticsFile StatisticsFile::load(const std::filesystem::path& path) {
  Group root = open_root(path);
  const std::int64_t tokens = root.integer_attribute("tokens");
  if (state_of(root) != StatisticsState::finished) {
    throw UserError(
        {.expected = "finished statistics",
         .found = fmt::format("a collection at {} of {} tokens", tokens, root.integer_attribute("target_tokens")),
         .where = path.string(),
         .remedy = "run the same `anchorage stats` command again: it goes on where it stopped"});
  }
  return StatisticsFile(
      std::make_unique<Content>(Content{.name = path.string(),
                                        .root = root,
                                        .fingerprint = read_fingerprint(root),
                                        .tokens = tokens,
                                        .layers = layer_numbers(root.group("layers")),
                                        .residual_norm_median = root.read<float>("residual_norm_median", {any})}));
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

SecondMoment StatisticsFile::moment(std::int64_t layer) const {
  if (std::ranges::find(content_->layers, layer) == content_->layers.end()) {
    throw UserError({.expected = fmt::format("statistics of layer {}", layer),
                     .found = fmt::format("those of layers {}", fmt::join(content_->layers, ", ")),
                     .where = content_->name,
                     .remedy = "collect them with `anchorage stats --layers`, or edit other layers"});
  }
  const Group group = content_->root.group("layers").group(std::to_string(layer));
  const std::int64_t size = group.shape("moment").front();
  return {.layer = layer, .moment = group.read_matrix("moment", size, size)};
}

void StatisticsFile::check_fingerprint(const StatisticsFingerprint& expected) const {
  const StatisticsFingerprint& found = content_->fingerprint;
  if (found.model == expected.model && found.tokenizer == expected.tokenizer) return;
  throw UserError({.expected = "statistics of " + words(expected),
                   .found = "statistics of " + words(found),
                   .where = content_->name,
                   .remedy = "collect statistics for this model with `anchorage stats`"});
}

}  // namespace anchorage::io
