// Measures what a journal of many segments costs: making it, opening it, resuming the run, a batch at its end,
// reading all of it. The segments are small, written by the writer of real ones; the workers compute nothing, but
// read what they would replay. Each measurement is a process of its own, so that its peak memory is its own too.
//
//   long_journal_bench FOLDER [segments = 100,1000,10000] [program] [brief]
//
// Makes FOLDER/run-<segments>, or takes the run that an earlier call left there. With a program (the path of
// anchorage), also times `journal list`, `journal show` and `rollback` as a user waits for them. With `brief`,
// leaves out what reads or replays all segments. Prints a table; asserts nothing of the times.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "coordinator/hosted_run.hpp"
#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "io/run/checkpoint.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/run_updates.hpp"
#include "tests/bench/synthetic_batch.hpp"
#include "tests/unit/coordinator/scripted_workers.hpp"

namespace {

using namespace anchorage;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

constexpr std::size_t most_numbers = 4;
using Numbers = std::array<double, most_numbers>;  // seconds that a measurement returns

struct Measured {
  Numbers numbers{};
  double megabytes = 0;  // peak memory of its process
};

// Runs the measurement in a process of its own.
Measured measure(const std::function<Numbers()>& measurement) {
  int ends[2];
  if (::pipe(ends) != 0) throw io::SystemError::from_errno(errno, "make a pipe", "a measurement");
  const pid_t child = ::fork();
  if (child == 0) {
    Numbers numbers{};
    try {
      numbers = measurement();
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
      ::_exit(EXIT_FAILURE);
    }
    ::_exit(::write(ends[1], numbers.data(), sizeof numbers) == sizeof numbers ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  ::close(ends[1]);
  Measured measured;
  const bool told = ::read(ends[0], measured.numbers.data(), sizeof measured.numbers) == sizeof measured.numbers;
  ::close(ends[0]);
  int status = 0;
  rusage usage{};
  io::check(::wait4(child, &status, 0, &usage) == child && status == 0 && told, "a measurement that failed");
  measured.megabytes = static_cast<double>(usage.ru_maxrss) / 1024;
  return measured;
}

void print_row(const std::string& what, std::int64_t segments, double seconds, double megabytes = 0) {
  fmt::print("  {:<46}{:>12.5f} s{:>12.3f} us per segment", what, seconds,
             1e6 * seconds / static_cast<double>(segments));
  fmt::print("{}\n", megabytes > 0 ? fmt::format("{:>9.0f} MB", megabytes) : "");
  std::fflush(stdout);
}

std::int64_t segments_of(const std::filesystem::path& run) {
  return std::ranges::distance(std::filesystem::directory_iterator(run / "journal"));
}

// Writes the run with this many segments after its base.
Numbers make_run(const std::filesystem::path& path, std::int64_t segments) {
  auto directory = io::RunDirectory::create(path);
  io::RunRecord record;
  record.batch_size = bench::edits_of_a_batch;
  directory.write_record(record);
  auto journal = io::Journal::open(directory.journal(), io::JournalAccess::append);
  journal.append(coordinator::base_segment(bench::base_record(), bench::provenance()));
  const auto begin = Clock::now();
  for (std::int64_t number = 1; number <= segments; ++number) {
    sharding::BatchApplied applied = bench::applied_batch({.edits = bench::edits_of(number)});
    journal.append(coordinator::batch_segment(std::move(applied), {.probes = {}, .decision = "accepted"}, number,
                                              bench::provenance()));
  }
  return {seconds_since(begin)};
}

// What real workers do with the disk.
sharding::Reply answer(const sharding::Command& command) {
  if (const auto* batch = std::get_if<sharding::ApplyBatch>(&command)) return bench::applied_batch(*batch);
  if (const auto* replay = std::get_if<sharding::ReplaySegment>(&command)) {
    const io::SegmentReader segment(replay->path);
    for (const std::int64_t layer : segment.layers()) segment.layer(layer);
  }
  if (const auto* save = std::get_if<sharding::SaveCheckpoint>(&command)) {
    bench::write_checkpoint({save->directory, save->segment, save->digest});
  }
  return coordinator::ScriptedWorkers::answer(command);
}

struct Resume {
  std::int64_t batches = 0;  // of new edits
  std::int64_t checkpoint_every = 0;
  bool supersedes = false;  // each batch an edit of the batch before
  bool waits = false;       // for edits that are added batch by batch
};

// Notes when the run asks for the first batch and when it commits each.
class Watch final : public coordinator::Observer {
 public:
  explicit Watch(std::function<void()> on_waiting) : on_waiting_(std::move(on_waiting)) {}
  void editing(std::int64_t, std::int64_t) override { began_ = Clock::now(); }
  void waiting() override { on_waiting_(); }
  void finished(const coordinator::RunResult& result) override {
    batches_ = result.batches;
    ended_ = Clock::now();
  }
  Clock::time_point began() const { return began_; }
  double seconds_per_batch() const {
    const double all = std::chrono::duration<double>(ended_ - began_).count();
    return all / static_cast<double>(std::max<std::int64_t>(batches_, 1));
  }

 private:
  std::function<void()> on_waiting_;
  std::int64_t batches_ = 0;
  Clock::time_point began_, ended_;
};

// Resumes as `edit --resume` does. Returns the seconds until the first batch may begin, and the seconds per batch.
Numbers resume(const std::filesystem::path& path, const Resume& how) {
  const auto begin = Clock::now();
  const std::int64_t next = segments_of(path);
  std::vector<io::EditsFile> files;
  for (std::int64_t batch = 0; batch < how.batches; ++batch) {
    if (files.empty() || how.waits) files.push_back({.format = io::Format::native, .edits = {}, .rejected = {}});
    for (io::Edit& edit : bench::edits_of(how.supersedes ? next - 1 - batch : next + batch)) {
      if (how.supersedes) edit.target += " again";
      files.back().places.push_back(edit.id);
      files.back().edits.push_back(std::move(edit));
    }
  }
  auto inputs = coordinator::RunInputs::open(path, true, how.waits ? io::EditsFile{} : files.front());
  coordinator::HostedRunOptions options{
      .queue = {.batch_size = bench::edits_of_a_batch},
      .run = {.guard = {}, .checkpoint_every = how.checkpoint_every, .grace = {}, .waits = how.waits},
      .provenance = bench::provenance()};
  coordinator::ScriptedWorkers workers(answer);
  coordinator::HostedRun run(inputs, bench::base_record(), options, workers);
  std::size_t added = 0;
  Watch watch([&] { added < files.size() && how.waits ? run.add(files[added++]) : run.close(); });
  run.observe(watch);
  run.run([&] { io::check(workers.stopped(std::chrono::hours(1)), "workers that are told to stop"); },
          [](const auto&) {});
  return {std::chrono::duration<double>(watch.began() - begin).count(), watch.seconds_per_batch()};
}

// Writes the index and a checkpoint of the last segment into a run that has neither.
Numbers keep(const std::filesystem::path& path) {
  const auto begin = Clock::now();
  const auto directory = io::RunDirectory::resume(path);
  auto journal = io::Journal::open(directory.journal(), io::JournalAccess::append, directory.journal_index());
  journal.save_index();
  bench::write_checkpoint({directory.checkpoint(), journal.last().header.batch, journal.last().digest});
  return {seconds_since(begin)};
}

// What `journal verify` reads: the chain, every dataset, every update.
Numbers verify(const std::filesystem::path& run) {
  const auto begin = Clock::now();
  const auto journal = io::Journal::open(run / "journal");
  for (const io::JournalEntry& entry : journal.list()) io::read_segment(entry.path);
  io::RunUpdates(io::live_segments(journal)).for_each([](const io::RunUpdate&) {});
  return {seconds_since(begin)};
}

Numbers run_program(const std::string& command) {
  const auto begin = Clock::now();
  io::check(std::system((command + " >/dev/null").c_str()) == 0, command + ": it failed");
  return {seconds_since(begin)};
}

void print_resume(const std::string& what, const std::filesystem::path& run, std::int64_t segments,
                  const Resume& how) {
  const Measured measured = measure([&] { return resume(run, how); });
  print_row(what, segments, measured.numbers[0], measured.megabytes);
  print_row(fmt::format("  a batch{}", how.supersedes ? " that supersedes the one before"
                                       : how.waits    ? " that is added"
                                                      : ""),
            segments, measured.numbers[1]);
}

void measure_run(const std::filesystem::path& run, std::int64_t segments, const std::string& program, bool brief) {
  if (std::filesystem::exists(run)) {
    segments = segments_of(run) - 1;
    fmt::print("{} segments, made before\n", segments);
  } else {
    const Measured made = measure([&] { return make_run(run, segments); });
    fmt::print("{} segments of {} bytes\n", segments,
               std::filesystem::file_size(run / "journal" / "seg-00000001.h5"));
    print_row("written", segments, made.numbers[0], made.megabytes);
  }
  const auto row = [&](const std::string& what, const std::function<Numbers()>& measurement) {
    const Measured measured = measure(measurement);
    print_row(what, segments, measured.numbers[0], measured.megabytes);
  };
  std::filesystem::remove_all(run / "checkpoint");
  if (!brief) print_resume("resumed without a checkpoint, to the first batch", run, segments, {.batches = 20});
  row("the first index: all read, and written", [&] { return keep(run); });
  print_resume("resumed from a checkpoint", run, segments, {.batches = 48, .checkpoint_every = 16});
  print_resume("resumed from a checkpoint", run, segments,
               {.batches = 8, .checkpoint_every = 16, .supersedes = true});
  print_resume("resumed from a checkpoint", run, segments, {.batches = 8, .checkpoint_every = 16, .waits = true});
  row("opened and its edits listed, by its index", [&]() -> Numbers {
    const auto begin = Clock::now();
    coordinator::recorded_edits(
        io::Journal::open(run / "journal", io::JournalAccess::read, run / "checkpoint" / "journal.index"));
    return {seconds_since(begin)};
  });
  if (!brief) {
    row("the same by reading all of it", [&]() -> Numbers {
      const auto begin = Clock::now();
      coordinator::recorded_edits(io::Journal::open(run / "journal"));
      return {seconds_since(begin)};
    });
    row("verified: chain, datasets, updates", [&] { return verify(run); });
  }
  if (program.empty()) return;
  const std::string name = run.string();
  row("journal list", [&] { return run_program(fmt::format("{} journal list {}", program, name)); });
  row("journal show", [&] { return run_program(fmt::format("{} journal show {}", program, name)); });
  const std::int64_t last = segments_of(run) - 1;
  row("rollback of the last batch",
      [&] { return run_program(fmt::format("{} rollback {} --to-batch {}", program, name, last - 1)); });
}

std::vector<std::int64_t> numbers_in(const std::string& list) {
  std::vector<std::int64_t> numbers;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    numbers.push_back(std::stoll(list.substr(begin, end - begin)));
    begin = end + 1;
  }
  return numbers;
}

}  // namespace

int main(int count, char** arguments) {
  const auto argument = [&](int place, const char* otherwise) {
    return count > place ? arguments[place] : otherwise;
  };
  if (count < 2) {
    fmt::print(stderr, "usage: {} FOLDER [segments = 100,1000,10000] [program] [brief]\n", arguments[0]);
    return EXIT_FAILURE;
  }
  spdlog::set_level(spdlog::level::err);  // a run warns of every edit that is superseded
  const std::filesystem::path folder = arguments[1];
  const bool brief = std::string(argument(4, "")) == "brief";
  try {
    std::filesystem::create_directories(folder);
    for (const std::int64_t segments : numbers_in(argument(2, "100,1000,10000")))
      measure_run(folder / fmt::format("run-{}", segments), segments, argument(3, ""), brief);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
