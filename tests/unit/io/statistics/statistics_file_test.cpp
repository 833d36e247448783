#include "io/statistics/statistics_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"
#include "io/hdf5/file.hpp"
#include "io/layer_numbers.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using tests::message_of;

StatisticsFingerprint sample_fingerprint() {
  return {.model_name = "demo", .model = "aaaa", .tokenizer = "bbbb", .corpus = "cccc", .sequence_length = 512};
}

// What a collector asks for at its start.
StatisticsProgress sample_start() {
  return {.fingerprint = sample_fingerprint(),
          .tokens = 0,
          .target_tokens = 1000,
          .position = 0,
          .layers = {{.layer = 4, .size = 2}, {.layer = 10, .size = 2}},
          .residual_norms = {}};
}

StatisticsProgress sample_progress() {
  StatisticsProgress progress = sample_start();
  progress.tokens = 512;
  progress.position = 12345678901;
  progress.residual_norms = {.rows = 3, .columns = 2, .values = {150, 151, 200, 201, 250, 251}};
  return progress;
}

const std::vector<std::vector<double>> sample_sums = {{1e300, 0.1, 0.1, 2}, {3, 0, 0, 1.0 / 3.0}};

void save(const std::filesystem::path& path, const StatisticsProgress& progress) {
  ProgressWriter writer(path, progress);
  for (std::size_t i = 0; i < sample_sums.size(); ++i) writer.add(progress.layers[i], sample_sums[i]);
  writer.commit();
}

Statistics sample_statistics() {
  return {.fingerprint = sample_fingerprint(),
          .tokens = 1000,
          .moments = {{.layer = 4, .moment = {.rows = 2, .columns = 2, .values = {2, 0.5, 0.5, 1}}},
                      {.layer = 10, .moment = {.rows = 2, .columns = 2, .values = {3, 0, 0, 4}}}},
          .residual_norm_median = {150, 200, 250}};
}

class StatisticsOnDisk : public testing::Test {
 protected:
  std::filesystem::path path() const { return directory_.path() / "S.h5"; }
  tests::TemporaryDirectory directory_;
};

TEST_F(StatisticsOnDisk, BeginAsAskedForWhereThereIsNoFile) {
  EXPECT_EQ(statistics_state(path()), StatisticsState::absent);
  EXPECT_EQ(create_or_resume(path(), sample_start()), sample_start());
}

TEST_F(StatisticsOnDisk, GoOnFromTheLastSaveExactly) {
  save(path(), sample_start());  // replaced by the next one
  save(path(), sample_progress());
  EXPECT_EQ(statistics_state(path()), StatisticsState::collecting);
  EXPECT_EQ(create_or_resume(path(), sample_start()), sample_progress());
  EXPECT_EQ(read_key_sum(path(), {.layer = 4, .size = 2}), sample_sums[0]);
  EXPECT_EQ(read_key_sum(path(), {.layer = 10, .size = 2}), sample_sums[1]);
}

TEST_F(StatisticsOnDisk, MayGoOnToMoreTokens) {
  save(path(), sample_progress());
  StatisticsProgress more = sample_start();
  more.target_tokens = 5000;
  EXPECT_EQ(create_or_resume(path(), more).target_tokens, 5000);
  EXPECT_EQ(create_or_resume(path(), more).tokens, 512);
}

TEST_F(StatisticsOnDisk, DoNotGoOnForAnotherModelCorpusLengthOrLayers) {
  save(path(), sample_progress());
  const auto refusal = [&](auto change) {
    StatisticsProgress other = sample_start();
    change(other);
    return message_of([&] { create_or_resume(path(), other); });
  };
  const std::string model =
      refusal([](auto& p) { p.fingerprint.model = "eeee", p.fingerprint.model_name = "other"; });
  EXPECT_THAT(model, HasSubstr("expected the unfinished statistics of model other (eeee)"));
  EXPECT_THAT(model, HasSubstr("found those of model demo (aaaa)"));
  EXPECT_THAT(refusal([](auto& p) { p.fingerprint.corpus = "ffff"; }),
              HasSubstr("corpus ffff, found those of corpus cccc"));
  EXPECT_THAT(refusal([](auto& p) { p.fingerprint.sequence_length = 64; }),
              HasSubstr("sequences of 64 tokens, found"));
  EXPECT_THAT(refusal([](auto& p) { p.layers.pop_back(); }),
              HasSubstr("layers 4 [2, 2], found those of layers 4 [2, 2], 10"));
  EXPECT_THAT(refusal([](auto& p) { p.layers[0].size = 3; }), HasSubstr("layers 4 [3, 3]"));
  save_statistics(path(), sample_statistics());
  EXPECT_THAT(refusal([](auto&) {}), HasSubstr("found finished statistics of model demo"));
}

TEST_F(StatisticsOnDisk, AreReadLayerByLayerWhenFinished) {
  save(path(), sample_progress());
  save_statistics(path(), sample_statistics());
  EXPECT_EQ(statistics_state(path()), StatisticsState::finished);
  const StatisticsFile file = StatisticsFile::load(path());
  EXPECT_EQ(file.fingerprint(), sample_fingerprint());
  EXPECT_EQ(file.tokens(), 1000);
  EXPECT_THAT(file.layers(), ElementsAre(4, 10));
  EXPECT_EQ(file.moment(4), sample_statistics().moments[0]);
  EXPECT_EQ(file.moment(10), sample_statistics().moments[1]);
  EXPECT_THAT(file.residual_norm_median(), ElementsAre(150, 200, 250));
  EXPECT_THAT(message_of([&] { file.moment(5); }),
              HasSubstr("expected statistics of layer 5, found those of layers 4, 10"));
}

std::vector<SecondMoment> sample_subject_moments() {
  return {{.layer = 4, .moment = {.rows = 2, .columns = 2, .values = {5, 0.25, 0.25, 6}}},
          {.layer = 10, .moment = {.rows = 2, .columns = 2, .values = {7, 1, 1, 8}}}};
}

void add_subjects(const std::filesystem::path& path) {
  SubjectMomentsWriter writer(path, {.list = "dddd", .rows = 300});
  for (const SecondMoment& moment : sample_subject_moments()) writer.add(moment);
  writer.commit();
}

TEST_F(StatisticsOnDisk, KeepWhatTheyHaveWhenSubjectsAreAdded) {
  save_statistics(path(), sample_statistics());
  const std::string before = sha256_of_file(path());
  add_subjects(path());
  const StatisticsFile file = StatisticsFile::load(path());
  EXPECT_EQ(statistics_state(path()), StatisticsState::finished);
  EXPECT_EQ(file.fingerprint(), sample_fingerprint());
  EXPECT_EQ(file.tokens(), 1000);
  EXPECT_THAT(file.layers(), ElementsAre(4, 10));
  EXPECT_THAT(file.residual_norm_median(), ElementsAre(150, 200, 250));
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(file.moment(i == 0 ? 4 : 10), sample_statistics().moments[i]);
    EXPECT_EQ(file.subject_moment(i == 0 ? 4 : 10), sample_subject_moments()[i]);
  }
  EXPECT_EQ(file.subject_moment_rows(10, 1, 2).values, (std::vector<float>{1, 8}));
  EXPECT_EQ(file.subjects(), (SubjectRows{.list = "dddd", .rows = 300}));
  EXPECT_EQ(file.digest_without_subjects(), before);
  EXPECT_NO_THROW(file.require_subjects());
}

TEST_F(StatisticsOnDisk, WithoutSubjectsSayHowToAddThem) {
  save_statistics(path(), sample_statistics());
  const StatisticsFile file = StatisticsFile::load(path());
  EXPECT_EQ(file.subjects(), std::nullopt);
  EXPECT_EQ(file.digest_without_subjects(), "");
  EXPECT_FALSE(file.has_subjects_of("dddd"));
  EXPECT_THAT(message_of([&] { file.require_subjects(); }), HasSubstr("'anchorage stats --subjects'"));
  EXPECT_THAT(message_of([&] { file.subject_moment(4); }), HasSubstr(path().string()));
  EXPECT_THAT(message_of([&] { (void)file.subject_moment_rows(4, 0, 1); }), HasSubstr("of general text alone"));
}

TEST_F(StatisticsOnDisk, WithOtherSubjectsNameBothLists) {
  save_statistics(path(), sample_statistics());
  add_subjects(path());
  const StatisticsFile file = StatisticsFile::load(path());
  EXPECT_TRUE(file.has_subjects_of("dddd"));
  const std::string message = message_of([&] { (void)file.has_subjects_of("eeee"); });
  EXPECT_THAT(message, HasSubstr("of the subjects of list eeee"));
  EXPECT_THAT(message, HasSubstr("those of list dddd, from 300 prompts"));
  EXPECT_THROW(SubjectMomentsWriter(path(), {.list = "eeee", .rows = 1}), InternalError);
}

TEST_F(StatisticsOnDisk, AreAsTheyWereUntilAllSubjectsAreAdded) {
  save_statistics(path(), sample_statistics());
  const std::string before = sha256_of_file(path());
  {
    SubjectMomentsWriter writer(path(), {.list = "dddd", .rows = 300});
    writer.add(sample_subject_moments()[0]);
    EXPECT_THROW(writer.commit(), InternalError) << "a layer is missing";
    SecondMoment bad = sample_subject_moments()[1];
    bad.moment.values[1] = std::numeric_limits<float>::infinity();
    EXPECT_THAT(message_of([&] { writer.add(bad); }), HasSubstr("a second moment of subjects of layer 10"));
    EXPECT_THROW(writer.add({.layer = 10, .moment = {.rows = 1, .columns = 1, .values = {1}}}), InternalError);
  }
  EXPECT_EQ(sha256_of_file(path()), before);
}

TEST_F(StatisticsOnDisk, TakeNoSubjectsBeforeTheyAreFinished) {
  save(path(), sample_progress());
  EXPECT_THAT(message_of([&] { add_subjects(path()); }), HasSubstr("found a collection at 512 of 1000 tokens"));
}

TEST_F(StatisticsOnDisk, OfAnotherModelAreRefusedWithBothNames) {
  save_statistics(path(), sample_statistics());
  const StatisticsFile file = StatisticsFile::load(path());
  StatisticsFingerprint same = sample_fingerprint();
  same.model_name = "elsewhere/demo";
  same.corpus = "";
  same.sequence_length = 0;
  EXPECT_NO_THROW(file.check_fingerprint(same));
  StatisticsFingerprint other = sample_fingerprint();
  other.model_name = "llama";
  other.model = "9999";
  const std::string message = message_of([&] { file.check_fingerprint(other); });
  EXPECT_THAT(message, HasSubstr("expected statistics of model llama (9999)"));
  EXPECT_THAT(message, HasSubstr("found statistics of model demo (aaaa)"));
  other = sample_fingerprint();
  other.tokenizer = "8888";
  EXPECT_THAT(message_of([&] { file.check_fingerprint(other); }), HasSubstr("tokenizer 8888"));
}

TEST_F(StatisticsOnDisk, AreNotUsedBeforeTheyAreFinished) {
  save(path(), sample_progress());
  EXPECT_THAT(message_of([&] { StatisticsFile::load(path()); }),
              HasSubstr("found a collection at 512 of 1000 tokens"));
}

TEST_F(StatisticsOnDisk, AreRefusedWhenTheFileIsSomethingElse) {
  EXPECT_THAT(message_of([&] { StatisticsFile::load(path()); }), HasSubstr("found no file"));
  directory_.write("S.h5", "text");
  EXPECT_THAT(message_of([&] { StatisticsFile::load(path()); }), HasSubstr("file signature not found"));
}

TEST_F(StatisticsOnDisk, AreReadByH5py) {
  save_statistics(path(), sample_statistics());
  const std::string command = tests::python_path() + " " + tests::source_path() +
                              "/tests/golden/hdf5_interop.py check-statistics '" + path().string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(StatisticsOnDisk, WithSubjectsAreReadByH5py) {
  save_statistics(path(), sample_statistics());
  add_subjects(path());
  const std::string command = tests::python_path() + " " + tests::source_path() +
                              "/tests/golden/hdf5_interop.py check-subjects '" + path().string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(LayerNumbers, AscendByNumberAndAreNothingElse) {
  hdf5::NewFile file("S.h5");
  for (const std::string name : {"10", "4"}) file.root().create_group(name);
  EXPECT_THAT(layer_numbers(file.root(), "S.h5"), ElementsAre(4, 10));
  file.root().create_group("5b");
  EXPECT_THAT(message_of([&] { layer_numbers(file.root(), "S.h5"); }),
              HasSubstr("expected a layer's number, found '5b', in S.h5"));
}

TEST(StatisticsFile, OnAFullDiskKeepsTheLastSave) {
  const tests::SmallDisk disk("1M");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const auto path = disk.path() / "S.h5";
  save(path, sample_progress());
  disk.fill_up_to(8192);
  EXPECT_THAT(message_of<SystemError>([&] { save(path, sample_start()); }), HasSubstr("No space left on device"));
  EXPECT_EQ(create_or_resume(path, sample_start()), sample_progress());
}

TEST_F(StatisticsOnDisk, ThatAreNotFiniteAreNotWritten) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  save(path(), sample_progress());
  Statistics statistics = sample_statistics();
  statistics.moments[1].moment.values[2] = nan;
  EXPECT_THAT(message_of([&] { save_statistics(path(), statistics); }),
              HasSubstr("expected a second moment of layer 10 of finite numbers, found nan at [1, 0], in " +
                        path().string()));
  statistics = sample_statistics();
  statistics.residual_norm_median[2] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message_of([&] { save_statistics(path(), statistics); }), HasSubstr("found inf at [2]"));
  StatisticsProgress progress = sample_progress();
  progress.residual_norms.values[3] = nan;
  EXPECT_THAT(message_of([&] { save(path(), progress); }), HasSubstr("found nan at [1, 1]"));
  ProgressWriter writer(path(), sample_progress());
  EXPECT_THAT(message_of([&] {
                writer.add(sample_progress().layers[0], std::vector<double>{1, 0, 0, nan});
              }),
              HasSubstr("a sum of keys of layer 4"));
  EXPECT_EQ(create_or_resume(path(), sample_start()), sample_progress()) << "what was there stays";
}

// A file of an earlier version, which wrote them.
TEST_F(StatisticsOnDisk, ThatAreNotFiniteAreNotRead) {
  const auto write = [&](const char* state, float moment, float norm) {
    hdf5::NewFile file(path());
    hdf5::Group& root = file.root();
    root.set_attribute("schema", "anchorage-statistics/1");
    root.set_attribute("state", state);
    for (const char* name : {"model_name", "model", "tokenizer", "corpus"}) root.set_attribute(name, "x");
    for (const char* name : {"sequence_length", "tokens", "target_tokens", "position"})
      root.set_attribute(name, std::int64_t{8});
    root.write("residual_norm_median", std::vector{1.0F, norm});
    hdf5::Group layer = root.create_group("layers").create_group("4");
    layer.write("moment", Matrix{.rows = 1, .columns = 1, .values = {moment}});
    const std::vector<double> sum = {moment};
    layer.write("sum", std::span<const double>(sum), {1, 1});
    AtomicFile out(path());
    out.write(file.bytes());
    out.commit();
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  write("finished", nan, 1);
  EXPECT_THAT(message_of([&] { StatisticsFile::load(path()).moment(4); }),
              HasSubstr("expected a second moment of layer 4 of finite numbers, found nan at [0, 0]"));
  EXPECT_THAT(message_of([&] { read_key_sum(path(), {.layer = 4, .size = 1}); }), HasSubstr("found nan at [0, 0]"));
  write("finished", 1, nan);
  EXPECT_THAT(message_of([&] { StatisticsFile::load(path()); }), HasSubstr("found nan at [1]"));
}

TEST(StatisticsFile, RowsOfAMomentAreReadAlone) {
  const tests::TemporaryDirectory directory;
  Statistics statistics = sample_statistics();
  Matrix& moment = statistics.moments[1].moment;
  moment = {.rows = 700, .columns = 700, .values = std::vector<float>(700 * 700)};  // more than a chunk
  for (std::size_t i = 0; i < moment.values.size(); ++i) moment.values[i] = static_cast<float>(i);
  save_statistics(directory.path() / "s.h5", statistics);
  const auto file = StatisticsFile::load(directory.path() / "s.h5");
  for (const auto& [begin, end] : {std::pair{0, 700}, {350, 353}, {699, 700}, {5, 5}}) {
    const Matrix rows = file.moment_rows(10, begin, end);
    EXPECT_EQ(rows.rows, end - begin);
    EXPECT_EQ(rows.columns, 700);
    EXPECT_EQ(rows.values,
              std::vector<float>(moment.values.begin() + 700 * begin, moment.values.begin() + 700 * end));
  }
  EXPECT_THROW((void)file.moment_rows(10, 600, 701), InternalError);
  EXPECT_THAT(message_of([&] { (void)file.moment_rows(5, 0, 1); }), HasSubstr("those of layers 4, 10"));
}

}  // namespace
}  // namespace anchorage::io
