#include "coordinator/edit_run.hpp"

#include <boost/asio/post.hpp>
#include <csignal>
#include <iterator>
#include <utility>
#include <variant>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

using Clock = std::chrono::steady_clock;

// As the last batch that wrote anything left it.
Drift drift_of(const io::Journal& journal) {
  Drift drift;
  for (auto entry = journal.list().rbegin(); entry != journal.list().rend() && drift.empty(); ++entry) {
    const io::SegmentReader segment(entry->path);
    const auto layers = segment.layers();
    const auto norms = segment.norms();
    for (std::size_t i = 0; i < layers.size(); ++i) drift[layers[i]] = norms[i].total / norms[i].base;
  }
  return drift;
}

}  // namespace

EditRun::EditRun(boost::asio::io_context& context, sharding::Workers& workers, io::RunDirectory& directory,
                 io::Journal& journal, Queue queue, Provenance provenance, Observer& observer)
    : context_(context),
      workers_(workers),
      directory_(directory),
      journal_(journal),
      queue_(std::move(queue)),
      provenance_(std::move(provenance)),
      observer_(observer),
      signals_(context, SIGINT, SIGTERM, SIGUSR1) {
  result_.set_aside = queue_.findings().set_aside;
}

EditRun::~EditRun() {
  dismiss_workers();
}

void EditRun::start() {
  watch_signals();  // which also keeps context.run() going while the workers compute
  boost::asio::post(context_, [this] { step([this] { begin(); }); });
}

void EditRun::begin() {
  const auto segments = std::ssize(journal_.list());
  io::check(segments > 0, "a run without its base segment");
  result_.drift = drift_of(journal_);
  if (queue_.empty()) return finish();
  if (segments > 1) observer_.replaying(segments - 1);
  replay(1);  // segment 0, the base, is what the workers have loaded
}

void EditRun::replay(std::size_t segment) {
  if (stopping_) return finish();
  if (segment < journal_.list().size()) {
    const std::string path = journal_.list()[segment].path.string();
    return ask(sharding::ReplaySegment{path}, [this, segment](const sharding::Reply&) { replay(segment + 1); });
  }
  observer_.editing(queue_.edits(), queue_.batches());
  edit();
}

void EditRun::edit() {
  if (stopping_ || queue_.empty()) return finish();
  ask(sharding::ApplyBatch{queue_.take_batch()}, [this, submitted = Clock::now()](sharding::Reply reply) {
    commit(std::get<sharding::BatchApplied>(std::move(reply)), submitted);
    edit();
  });
}

void EditRun::finish() {
  result_.stopped = !queue_.empty();
  dismissed_ = true;
  ask(sharding::Stop{}, [this](const sharding::Reply&) {
    signals_.cancel();
    observer_.finished(result_);
  });
}

// The reply comes on a thread of the workers'; `then` runs on the context's.
void EditRun::ask(sharding::Command command, std::function<void(sharding::Reply)> then) {
  workers_.submit(std::move(command), [this, &context = context_, then](sharding::Reply reply) {
    boost::asio::post(context,
                      [this, then, reply = std::move(reply)]() mutable { step([&] { then(std::move(reply)); }); });
  });
}

// What the context's thread does between two commands. A step that fails is the last one.
void EditRun::step(const std::function<void()>& action) {
  try {
    action();
  } catch (...) {
    signals_.cancel();
    dismiss_workers();
    throw;
  }
}

void EditRun::commit(sharding::BatchApplied applied, Clock::time_point submitted) {
  Seconds seconds{.activities = applied.seconds};
  io::BatchSegment segment = batch_segment(std::move(applied), std::ssize(journal_.list()), provenance_);
  BatchReport report = report_of(segment, seconds);
  journal_.append(std::move(segment));
  report.seconds.total = std::chrono::duration<double>(Clock::now() - submitted).count();

  ++result_.batches;
  result_.committed += report.committed;
  result_.set_aside.insert(result_.set_aside.end(), report.set_aside.begin(), report.set_aside.end());
  result_.seconds += report.seconds;
  if (!report.drift.empty()) result_.drift = report.drift;
  directory_.append_metrics(metrics_line(report));
  observer_.committed(report);
}

void EditRun::watch_signals() {
  signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (cancelled) return;
    if (std::exchange(stopping_, true)) {
      observer_.still_stopping(signal);
    } else {
      observer_.stopping(signal);
    }
    watch_signals();
  });
}

void EditRun::dismiss_workers() {
  if (std::exchange(dismissed_, true)) return;
  workers_.submit(sharding::Stop{}, [](const sharding::Reply&) {});
}

}  // namespace anchorage::coordinator
