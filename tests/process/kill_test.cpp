// A run of two ranks is killed with SIGKILL at random moments and resumed until it is done; what is left is what an
// undisturbed run leaves, bit for bit. ANCHORAGE_KILLS sets how often (20; the long form takes 200).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "io/run/journal/journal.hpp"
#include "tests/process/small_run.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A shell command in a process group of its own.
class Job {
 public:
  Job(const std::filesystem::path& folder, const std::string& command) : group_(::fork()) {
    if (group_ > 0) return;
    ::setpgid(0, 0);
    const int log = ::open((folder / "job.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (::chdir(folder.c_str()) != 0) ::_exit(127);
    // As tests::Program has it: root must be allowed by name.
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);
    ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    ::_exit(127);
  }

  // The ranks: the children of mpirun, in the order in which they were started.
  std::vector<pid_t> ranks() const {
    std::vector<pid_t> children;
    std::ifstream file("/proc/" + std::to_string(group_) + "/task/" + std::to_string(group_) + "/children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
  }

  bool is_running() {
    if (!exit_code_ && ::waitpid(group_, &status_, WNOHANG) == group_)
      exit_code_ = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    return !exit_code_;
  }

  // Its exit code; none when it does not end in time.
  std::optional<int> wait(std::chrono::seconds deadline) {
    for (const auto end = Clock::now() + deadline; is_running() && Clock::now() < end;)
      std::this_thread::sleep_for(milliseconds(20));
    return exit_code_;
  }

  void kill_all() {
    for (const pid_t rank : ranks()) ::kill(rank, SIGKILL);
    ::kill(group_, SIGKILL);
  }

 private:
  pid_t group_;
  int status_ = 0;
  std::optional<int> exit_code_;
};

// Wakes up when a file is begun in a folder, which may be made only later.
class FolderWatch {
 public:
  explicit FolderWatch(std::filesystem::path folder)
      : folder_(std::move(folder)), descriptor_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}
  ~FolderWatch() { ::close(descriptor_); }
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Whether one was begun in this time.
  bool wait(milliseconds at_most) {
    if (!watching_) watching_ = ::inotify_add_watch(descriptor_, folder_.c_str(), IN_CREATE | IN_MODIFY) >= 0;
    pollfd event{.fd = descriptor_, .events = POLLIN, .revents = 0};
    return ::poll(&event, 1, static_cast<int>(at_most.count())) > 0;
  }

 private:
  std::filesystem::path folder_;
  int descriptor_;
  bool watching_ = false;
};

enum class Moment { any, segment_write, checkpoint_write };
enum class Victim { rank_0, rank_1, all };

class Kill : public testing::Test {
 protected:
  static constexpr int batches = 30;

  Kill() { runs.folder.write("suite.jsonl", R"({"subject": "Nvidia", "prompt": "The CEO of {} is"})"); }

  std::string command(const std::string& run, int deadline = 30) const {
    const bool begun = std::filesystem::exists(runs.folder.path() / run / "run.yaml");
    // Every fourth of 30: none is begun with the last batch, when the job may be over before the kill reaches it.
    const std::string options = " --checkpoint-every 4 --deadline " + std::to_string(deadline);
    return tests::mpirun(2) + "'" + tests::program_path() + "' " +
           (begun ? "edit --run " + run + " --resume --json" + options
                  : runs.edit_arguments(run, options + " --protect suite.jsonl"));
  }

  // Waits for the moment, then kills the victim. Returns the moment of the kill; nothing when the job was
  // done before.
  std::optional<Moment> strike(Job& job, Moment moment, Victim victim, const std::string& run,
                               milliseconds delay) const {
    const auto folder = runs.folder.path() / run;
    for (const auto end = Clock::now() + delay; job.is_running() && Clock::now() < end;)
      std::this_thread::sleep_for(milliseconds(1));
    if (moment != Moment::any) {
      FolderWatch watch(folder / (moment == Moment::segment_write ? "journal" : "checkpoint"));
      bool has_come = false;
      for (int i = 0; i < 300 && job.is_running() && !has_come; ++i) has_come = watch.wait(milliseconds(20));
      if (!has_come) moment = Moment::any;
    }
    const auto ranks = job.ranks();
    if (!job.is_running()) return std::nullopt;
    if (victim == Victim::all || ranks.size() < 2) {
      job.kill_all();
    } else {
      ::kill(ranks[victim == Victim::rank_0 ? 0 : 1], SIGKILL);
    }
    return moment;
  }

  // Returns a segment without what depends on when and how often it was begun.
  static io::BatchSegment timeless(const std::filesystem::path& path) {
    io::BatchSegment segment = io::read_segment(path);
    segment.header.utc = segment.header.previous = "";
    segment.guard = {.probes = {}, .decision = segment.guard.decision, .pending = segment.guard.pending};
    for (io::EditRecord& edit : segment.edits) {
      if (std::isnan(edit.nll_after)) edit.nll_after = -1;
    }
    return segment;
  }

  const tests::SmallRun runs{2 * batches};
};

TEST_F(Kill, AtRandomMomentsAndResumedARunEndsBitIdenticalWithAnUndisturbedOne) {
  const char* wanted = std::getenv("ANCHORAGE_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 20;
  const auto begun = Clock::now();
  Job undisturbed(runs.folder.path(), command("whole"));
  ASSERT_EQ(undisturbed.wait(std::chrono::seconds(300)), 0) << tests::content_of(runs.folder.path() / "job.log");
  const auto whole_time = std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
  const auto whole = io::Journal::open(runs.journal("whole"));
  ASSERT_GT(whole.list().size(), static_cast<std::size_t>(batches));
  const std::string weights = runs.exported("whole");

  std::mt19937 random(7);
  std::map<Moment, int> struck;
  int done = 0;
  for (int round = 0; done < kills; ++round) {
    const std::string run = "killed" + std::to_string(round);
    for (bool finished = false; !finished;) {
      Job job(runs.folder.path(), command(run));
      bool killed = false;
      if (done < kills) {
        const auto moment = static_cast<Moment>(std::uniform_int_distribution(0, 2)(random));
        const auto victim = static_cast<Victim>(std::uniform_int_distribution(0, 2)(random));
        // Up to half of the run, so that it is killed several times before its end.
        const milliseconds delay(std::uniform_int_distribution<std::int64_t>(0, whole_time.count() / 2)(random));
        if (const auto struck_at = strike(job, moment, victim, run, delay)) {
          killed = true;
          ++done;
          ++struck[*struck_at];
        }
      }
      const auto exit_code = job.wait(std::chrono::seconds(killed ? 90 : 300));
      ASSERT_TRUE(exit_code.has_value()) << "the job did not end; kill " << done;
      if (!killed) {
        ASSERT_EQ(*exit_code, 0) << tests::content_of(runs.folder.path() / "job.log");
        finished = true;
      } else {
        EXPECT_NE(*exit_code, 0);
        if (std::filesystem::exists(runs.journal(run))) io::Journal::open(runs.journal(run));  // proves the chain
      }
    }
    const auto journal = io::Journal::open(runs.journal(run));
    ASSERT_EQ(journal.list().size(), whole.list().size());
    for (std::size_t i = 0; i < whole.list().size(); ++i)
      EXPECT_TRUE(timeless(journal.list()[i].path) == timeless(whole.list()[i].path)) << "segment " << i;
    EXPECT_TRUE(runs.exported(run) == weights) << run;
  }
  std::cout << done << " kills: " << struck[Moment::any] << " at any moment, " << struck[Moment::segment_write]
            << " in a segment's write, " << struck[Moment::checkpoint_write] << " in a checkpoint's write\n";
}

TEST_F(Kill, ARankThatHangsEndsTheJobWithinTheDeadlineByRankOperationAndBatch) {
  Job job(runs.folder.path(), command("hung", /*deadline=*/4));
  const auto segments = [&] {
    std::error_code none_yet;
    return std::distance(std::filesystem::directory_iterator(runs.journal("hung"), none_yet), {});
  };
  for (int i = 0; i < 1500 && job.is_running() && segments() < 4; ++i)
    std::this_thread::sleep_for(milliseconds(20));
  const auto ranks = job.ranks();
  ASSERT_EQ(ranks.size(), 2U) << tests::content_of(runs.folder.path() / "job.log");
  ::kill(ranks[1], SIGSTOP);
  const auto exit_code = job.wait(std::chrono::seconds(60));
  ASSERT_TRUE(exit_code.has_value()) << "the job did not end";
  EXPECT_EQ(*exit_code, 1);
  const std::string log = tests::content_of(runs.folder.path() / "job.log");
  EXPECT_THAT(log,
              testing::ContainsRegex("error: expected '[a-z ]+' to end within 4 s, found rank 0 still waiting"));
  EXPECT_THAT(log, testing::ContainsRegex("[(]batch [0-9]+[)]"));
  for (const pid_t rank : ranks) {
    for (int i = 0; i < 500 && ::kill(rank, 0) == 0; ++i) std::this_thread::sleep_for(milliseconds(20));
    EXPECT_NE(::kill(rank, 0), 0) << "process " << rank << " is left behind";
  }
}

}  // namespace
}  // namespace anchorage
