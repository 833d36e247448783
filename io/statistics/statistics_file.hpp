// The statistics file: second moments of the keys, E[k k^T] [f, f] per layer, and the median norm of the
// residual stream after each layer up to the last of these (0 for later layers), both on general text; and, where
// they were collected, second moments of the keys at the last tokens of subjects (docs/method.md, sections 1 and
// 3).
//
// The file has two states. During collection it holds sums in f64 and the place in the corpus to continue
// from; each save replaces it atomically. When finished it holds the means in f32. Its HDF5 layout:
//
//   /                      attributes schema, state (collecting, finished), model_name, model, tokenizer, corpus,
//                          sequence_length, tokens; while collecting also target_tokens, position; with subjects
//                          also subjects (SHA-256 of their list), subject_rows, without_subjects (SHA-256 of the
//                          file before they were added)
//   /layers/<n>            sum [f, f] f64 while collecting, moment [f, f] f32 when finished; with subjects also
//                          subject_moment [f, f] f32
//   /residual_norms        [model's layers, n] f32 while collecting
//   /residual_norm_median  [model's layers] f32 when finished
//
// A save holds the file's content in memory. Numbers that are not finite are neither written nor read: a
// UserError names the layer and the first such entry.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/matrix.hpp"

namespace anchorage::io {

// Identifies what the statistics were computed from.
struct StatisticsFingerprint {
  std::string model_name;  // for the reader: the model's directory
  std::string model;       // digests
  std::string tokenizer;
  std::string corpus;
  std::int64_t sequence_length = 0;  // tokens

  bool operator==(const StatisticsFingerprint&) const = default;
};

// A layer whose keys are summed: the sum of k k^T over the tokens so far, [f, f].
struct SummedLayer {
  std::int64_t layer = 0;
  std::int64_t size = 0;  // f

  bool operator==(const SummedLayer&) const = default;
};

// The state of a collection without its sums, which take gigabytes per layer of a large model and are read
// and written one at a time.
struct StatisticsProgress {
  StatisticsFingerprint fingerprint;
  std::int64_t tokens = 0;         // in the sums
  std::int64_t target_tokens = 0;  // when the collection is finished
  std::int64_t position = 0;       // where to continue in the corpus, in the collector's own unit
  std::vector<SummedLayer> layers;
  Matrix residual_norms;  // [model's layers, n]: of the n tokens over which the medians are taken

  bool operator==(const StatisticsProgress&) const = default;
};

struct SecondMoment {
  std::int64_t layer = 0;
  Matrix moment;  // [f, f]: E[k k^T]

  bool operator==(const SecondMoment&) const = default;
};

struct Statistics {
  StatisticsFingerprint fingerprint;
  std::int64_t tokens = 0;
  std::vector<SecondMoment> moments;
  std::vector<float> residual_norm_median;  // [model's layers]; empty where unknown (imported statistics)

  bool operator==(const Statistics&) const = default;
};

// What second moments of subjects were collected from.
struct SubjectRows {
  std::string list;       // SHA-256 of the list's file
  std::int64_t rows = 0;  // prompts over which they are the mean

  bool operator==(const SubjectRows&) const = default;
};

enum class StatisticsState { absent, collecting, finished };
StatisticsState statistics_state(const std::filesystem::path& path);

// Writes a save of a collection. `commit` replaces the file at the path; it throws SystemError when the disk
// refuses, and the earlier file stays.
class ProgressWriter {
 public:
  ProgressWriter(const std::filesystem::path& path, const StatisticsProgress& progress);
  ~ProgressWriter();
  ProgressWriter(ProgressWriter&&) noexcept;
  ProgressWriter& operator=(ProgressWriter&&) noexcept;

  void add(const SummedLayer& layer, std::span<const double> sum);  // call once for each layer of the
                                                                    // progress
  void commit();

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

void save_statistics(const std::filesystem::path& path, const Statistics& statistics);

// Adds second moments of subjects to a finished file, of which everything else stays as it is. Reads one layer at a
// time; the new file, 8 f^2 bytes per layer, is in memory until `commit` replaces the file at the path. That throws
// SystemError when the disk refuses, and the earlier file stays.
class SubjectMomentsWriter {
 public:
  // Throws UserError unless the file is finished, InternalError where it already has such moments.
  SubjectMomentsWriter(const std::filesystem::path& path, const SubjectRows& rows);
  ~SubjectMomentsWriter();
  SubjectMomentsWriter(SubjectMomentsWriter&&) noexcept;
  SubjectMomentsWriter& operator=(SubjectMomentsWriter&&) noexcept;

  // Call once for each layer of the file. Throws InternalError where the moment has another size than the layer's.
  void add(const SecondMoment& moment);
  void commit();

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

// Returns the progress to continue from: `expected` itself, whose sums are zero, where there is no file yet,
// otherwise that of the file. Throws UserError when the file belongs to another model, tokenizer, corpus,
// sequence length or other layers, or is finished.
StatisticsProgress create_or_resume(const std::filesystem::path& path, const StatisticsProgress& expected);

// Reads one sum of an unfinished file, [f, f]; throws UserError where it has another size.
std::vector<double> read_key_sum(const std::filesystem::path& path, const SummedLayer& layer);

// A finished file; moments are read one layer at a time, since they may be large.
class StatisticsFile {
 public:
  // Throws UserError for a file that is still being collected, or is not a statistics file.
  static StatisticsFile load(const std::filesystem::path& path);
  ~StatisticsFile();
  StatisticsFile(StatisticsFile&&) noexcept;
  StatisticsFile& operator=(StatisticsFile&&) noexcept;

  const StatisticsFingerprint& fingerprint() const;
  std::int64_t tokens() const;
  std::vector<std::int64_t> layers() const;
  const std::vector<float>& residual_norm_median() const;
  SecondMoment moment(std::int64_t layer) const;  // UserError naming the layers that the file has
  // Reads rows [begin, end) of a layer's moment, as they are needed by who holds these rows of its inverse.
  Matrix moment_rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const;

  // Returns what the second moments of subjects were collected from; nothing where the file has none.
  const std::optional<SubjectRows>& subjects() const;
  // Whether the file has those of this list, given by its SHA-256. Throws UserError where it has those of another
  // one.
  bool has_subjects_of(const std::string& list) const;
  // Throws UserError that says how to collect them where the file has none.
  void require_subjects() const;
  // The same as `moment` and `moment_rows`, of subjects; they require them.
  SecondMoment subject_moment(std::int64_t layer) const;
  Matrix subject_moment_rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const;
  // Returns the SHA-256 of the file as it was before subjects were added; empty where it has none.
  const std::string& digest_without_subjects() const;

  // Throws UserError that names both models unless model and tokenizer are the expected ones; corpus and
  // sequence length are the collector's choice and not compared.
  void check_fingerprint(const StatisticsFingerprint& expected) const;

 private:
  struct Content;
  explicit StatisticsFile(std::unique_ptr<Content> content);
  void require_layer(std::int64_t layer) const;
  // Read the dataset `name` of a layer; `what` names its values in messages.
  SecondMoment whole(std::int64_t layer, const char* name, const std::string& what) const;
  Matrix rows(std::int64_t layer, const char* name, const std::string& what, std::int64_t begin,
              std::int64_t end) const;
  std::unique_ptr<Content> content_;
};

}  // namespace anchorage::io
