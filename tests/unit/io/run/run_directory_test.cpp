#include "io/run/run_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::HasSubstr;

using tests::message_of;

RunRecord sample_record() {
  return {.model = "/models/Zürich: a #1 model",
          .edits = {"/edits/monday.jsonl", "/edits/true"},
          .format = "counterfact",
          .statistics = "/statistics/s.h5",
          .method = "b-eac",
          .hparams = "# layers of the demo\nlayers: [4, 5]\nclamp_norm_factor: 0.75\nname: \"true\"\n",
          .batch_size = 32,
          .seed = -1,
          .threads = 2,
          .group = 8,
          .dtype = "float32",
          .device = "cpu",
          .reference_kernels = {"norm", "block"},
          .fingerprints = {{"model", "12e4"}, {"tokenizer", "null"}, {"statistics", ""}},
          .versions = {{"anchorage", "0.1.0"}, {"hdf5", "1.10"}}};
}

RunDirectory begun(const std::filesystem::path& path) {
  RunDirectory run = RunDirectory::create(path);
  run.write_record(sample_record());
  return run;
}

class Run : public testing::Test {
 protected:
  std::filesystem::path path() const { return directory_.path() / "runs" / "night"; }
  tests::TemporaryDirectory directory_;
};

TEST_F(Run, KeepsItsRecordLetterByLetter) {
  begun(path());
  EXPECT_EQ(RunDirectory::view(path()).record(), sample_record());
  EXPECT_EQ(RunDirectory::resume(path()).record(), sample_record());
  for (const std::string hparams :
       {"", "a: 1", "a: 1\n\n", "  a: 1\n", "a:\t1\n", "a: |\n  b\n\n  c\nd: 'é'\n", "\n"}) {
    RunRecord record = sample_record();
    record.hparams = hparams;
    RunDirectory run = RunDirectory::resume(path());
    run.write_record(record);
    EXPECT_EQ(run.record(), record);
    EXPECT_EQ(RunDirectory::view(path()).record().hparams, hparams);
  }
}

TEST_F(Run, ThatProtectsFactsKeepsTheirDigests) {
  RunRecord record = sample_record();
  record.protection = {.file = "/suites/Zürich: #1.jsonl", .digest = "12e4", .keys = "null"};
  {
    RunDirectory run = RunDirectory::create(path());
    run.write_record(record);
  }
  EXPECT_EQ(RunDirectory::view(path()).record(), record);
  begun(directory_.path() / "plain");
  EXPECT_THAT(tests::content_of(directory_.path() / "plain" / "run.yaml"), testing::Not(HasSubstr("protect")));
}

TEST_F(Run, ThatNeverBeginsLeavesNoProtectedKeysAndOneThatBeginsKeepsThem) {
  const std::vector<ProtectedLayer> layers{{.layer = 1, .keys = {.rows = 1, .columns = 2, .values = {1, 2}}}};
  {
    RunDirectory run = RunDirectory::create(path());
    run.write_protected_keys(1, layers);
    EXPECT_TRUE(std::filesystem::exists(path() / "protected.h5"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  RunRecord record = sample_record();
  {
    RunDirectory run = RunDirectory::create(path());
    record.protection = {.file = "/suite", .digest = "1", .keys = run.write_protected_keys(1, layers)};
    run.write_record(record);
    EXPECT_THROW(run.write_protected_keys(1, layers), InternalError);
  }
  EXPECT_EQ(protected_keys_of(path(), RunDirectory::view(path()).record())->count(), 1);
}

// A start that was killed leaves its lock; protected keys without one are somebody's.
TEST_F(Run, IsBegunWhereAStartWasKilledBehindItsProtectedKeysAndNotOverThoseOfALostRecord) {
  directory_.write("runs/night/protected.h5", "keys");
  EXPECT_THAT(message_of([&] { begun(path()); }), HasSubstr("'protected.h5' in it"));
  EXPECT_EQ(tests::content_of(path() / "protected.h5"), "keys");
  directory_.write("runs/night/run.lock", "host a, pid 1\n");
  begun(path());
  EXPECT_FALSE(std::filesystem::exists(path() / "protected.h5"));
}

TEST_F(Run, HasItsFolders) {
  const RunDirectory run = begun(path());
  for (const auto& folder : {run.journal(), run.checkpoint()}) {
    EXPECT_TRUE(std::filesystem::is_directory(folder)) << folder;
    EXPECT_EQ(folder.parent_path(), path());
  }
  EXPECT_TRUE(RunDirectory::is_run(path()));
  EXPECT_FALSE(RunDirectory::is_run(directory_.path()));
}

TEST_F(Run, IsNotBegunTwice) {
  begun(path());
  const std::string message = message_of([&] { begun(path()); });
  EXPECT_THAT(message, HasSubstr("found a run, in " + path().string()));
  EXPECT_THAT(message, HasSubstr("--resume"));
}

TEST_F(Run, IsNotBegunAmongOtherFiles) {
  directory_.write("thesis/chapter.tex", "work of years");
  const auto refusal = [&](const std::string& name) {
    return message_of([&] { begun(directory_.path() / name); });
  };
  EXPECT_THAT(refusal("thesis"), HasSubstr("'chapter.tex' in it"));
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "thesis" / "run.lock"));
  EXPECT_THAT(refusal("thesis/chapter.tex"), HasSubstr("expected a directory, found a file"));
}

TEST_F(Run, IsBegunWhereAStartWasKilled) {
  directory_.write("runs/night/run.lock", "host a, pid 1\n");
  directory_.write("runs/night/.run.yaml.1-0.tmp", "model: ");
  const RunDirectory run = begun(path());
  EXPECT_FALSE(std::filesystem::exists(path() / ".run.yaml.1-0.tmp"));
}

TEST_F(Run, ThatNeverBeginsLeavesNothing) {
  RunDirectory::create(path());
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  std::filesystem::create_directories(path());
  {
    RunDirectory run = RunDirectory::create(path());
    EXPECT_THAT(message_of([&] { RunDirectory::create(path()); }), HasSubstr("in use by host"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(path())) << "a directory that was there stays";
  RunDirectory::create(path()).write_record(sample_record());
  EXPECT_TRUE(RunDirectory::is_run(path()));
  EXPECT_TRUE(std::filesystem::exists(path() / "run.lock"));
}

TEST_F(Run, IsNotGoneOnWithWhereThereIsNone) {
  std::filesystem::create_directories(path());
  EXPECT_THAT(message_of([&] { RunDirectory::resume(path()); }),
              HasSubstr("expected a run directory with its run.yaml"));
  EXPECT_TRUE(std::filesystem::is_empty(path()));
}

TEST_F(Run, NamesWhatItsRecordLacks) {
  begun(path());
  const auto refusal = [&](const std::string& text) {
    directory_.write("runs/night/run.yaml", text);
    return message_of([&] { RunDirectory::view(path()); });
  };
  EXPECT_THAT(refusal("schema: anchorage-run/1\nmodel: x\n"), HasSubstr("no key 'edits'"));
  EXPECT_THAT(refusal("schema: anchorage-run/9\n"), HasSubstr("found anchorage-run/9"));
  EXPECT_THAT(refusal("a: [1"), HasSubstr("run.yaml, line 1; fix the file"));
  EXPECT_THAT(refusal("schema: anchorage-run/1\n---\nmodel: x\n"), HasSubstr("a second document"));
  EXPECT_THAT(refusal("- just a list"), HasSubstr("run.yaml; fix the file"));
  EXPECT_THAT(refusal(""), HasSubstr("no key 'schema'"));
}

TEST_F(Run, IsUsedByOneJobAtATime) {
  const RunDirectory run = begun(path());
  const std::string message = message_of([&] { RunDirectory::resume(path()); });
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  EXPECT_THAT(message,
              HasSubstr(std::string("in use by host ") + host.data() + ", pid " + std::to_string(::getpid())));
  EXPECT_THAT(message, HasSubstr("; wait for that job"));
  EXPECT_NO_THROW(RunDirectory::view(path()));
}

// A lock that outlives its job, as on some network file systems: the message says what to do, and that helps.
TEST_F(Run, IsFreeAgainWhereAStaleLockIsRemoved) {
  const RunDirectory gone = begun(path());
  const std::string message = message_of([&] { RunDirectory::resume(path()); });
  EXPECT_THAT(message, HasSubstr("if it surely does not run any more, remove run.lock"));
  std::filesystem::remove(path() / "run.lock");
  const RunDirectory run = RunDirectory::resume(path());
  EXPECT_THAT(message_of([&] { RunDirectory::resume(path()); }), HasSubstr("in use by host"));
}

TEST_F(Run, IsFreeAgainWhenItsJobIsKilled) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t job = ::fork();
  if (job == 0) {
    const RunDirectory run = begun(path());
    if (::write(ends[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char ready = 0;
  ASSERT_EQ(::read(ends[0], &ready, 1), 1);
  EXPECT_THAT(message_of([&] { RunDirectory::resume(path()); }), HasSubstr("pid " + std::to_string(job)));
  ::kill(job, SIGKILL);
  ::waitpid(job, nullptr, 0);
  EXPECT_NO_THROW(RunDirectory::resume(path()));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Run, MovesWithItsLock) {
  RunDirectory first = begun(path());
  {
    const RunDirectory second = std::move(first);
    EXPECT_THROW(RunDirectory::resume(path()), UserError);
  }
  EXPECT_NO_THROW(RunDirectory::resume(path()));
}

TEST_F(Run, AddsLinesToItsMetricsAndCutsATornOne) {
  {
    RunDirectory run = begun(path());
    run.append_metrics(R"({"batch": 1})");
    run.append_metrics(R"({"batch": 2})");
    EXPECT_THROW(run.append_metrics("two\nlines"), InternalError);
  }
  std::ofstream(path() / "metrics.jsonl", std::ios::app) << R"({"batch": 3, "lo)";
  RunDirectory run = RunDirectory::resume(path());
  run.append_metrics(R"({"batch": 3})");
  EXPECT_EQ(tests::content_of(run.metrics()), "{\"batch\": 1}\n{\"batch\": 2}\n{\"batch\": 3}\n");
}

TEST_F(Run, CutsATornLineThatIsTheOnlyOne) {
  begun(path());
  directory_.write("runs/night/metrics.jsonl", "{\"ba");
  EXPECT_EQ(tests::content_of(RunDirectory::resume(path()).metrics()), "");
}

TEST_F(Run, KeepsItsContexts) {
  RunDirectory run = begun(path());
  EXPECT_FALSE(run.has_contexts());
  const std::vector<Context> contexts{{.text = "", .tokens = {}},
                                      {.text = "The 東京 \"q\". ", .tokens = {1, 49151}}};
  run.write_contexts(contexts);
  EXPECT_TRUE(run.has_contexts());
  EXPECT_EQ(run.read_contexts(), contexts);
  directory_.write("runs/night/contexts.json", R"([{"text": "a"}])");
  EXPECT_THAT(message_of([&] { run.read_contexts(); }), HasSubstr("'tokens' not found, in " + path().string()));
}

TEST_F(Run, ThatIsOnlyViewedIsNotWritten) {
  begun(path());
  RunDirectory view = RunDirectory::view(path());
  EXPECT_THROW(view.append_metrics("{}"), InternalError);
  EXPECT_THROW(view.write_record(sample_record()), InternalError);
  EXPECT_THROW(view.write_contexts({}), InternalError);
}

TEST(RunOnAFullDisk, KeepsItsRecordAndWholeLines) {
  const tests::SmallDisk disk("256k");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  RunDirectory run = begun(disk.path() / "night");
  run.append_metrics(R"({"batch": 1})");
  disk.fill_up_to(0);
  EXPECT_THAT(message_of<SystemError>([&] { run.append_metrics(std::string(10000, 'x')); }),
              HasSubstr("No space left"));
  EXPECT_EQ(tests::content_of(run.metrics()), "{\"batch\": 1}\n");
  EXPECT_THROW(run.write_record({}), SystemError);
  EXPECT_EQ(RunDirectory::view(disk.path() / "night").record(), sample_record());
}

}  // namespace
}  // namespace anchorage::io
