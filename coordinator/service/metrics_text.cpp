#include "coordinator/service/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace anchorage::coordinator {
namespace {

// Writes samples of metrics, each after its help and type.
class Exposition {
 public:
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(double value, const std::string& labels = "") {
    const std::string number = std::isnan(value) ? "NaN" : fmt::format("{}", value);
    text_ += fmt::format("{}{} {}\n", name_, labels.empty() ? "" : "{" + labels + "}", number);
  }
  void sample(std::int64_t value, const std::string& labels = "") { sample(static_cast<double>(value), labels); }
  std::string text() && { return std::move(text_); }

 private:
  std::string name_, text_;
};

// A label with its value, in which quotes, backslashes and line ends are escaped.
std::string label(std::string_view name, std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return fmt::format("{}=\"{}\"", name, text);
}

double seconds_since(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
}

void add_limits(Exposition& out, const GuardLimits& guard) {
  out.metric("anchorage_guard_enabled", "gauge", "Whether the guard reverts batches.");
  out.sample(guard.on ? 1.0 : 0.0);
  out.metric("anchorage_guard_success_min_ratio", "gauge",
             "Smallest share of edits whose target became more probable.");
  out.sample(guard.success);
  out.metric("anchorage_guard_loss_rise_max_nats", "gauge",
             "Largest rise of the held-out loss in one batch, per token.");
  out.sample(guard.loss_rise);
  out.metric("anchorage_guard_layer_change_max_ratio", "gauge",
             "Largest change of a weight by one batch, over the norm of its base.");
  out.sample(guard.drift);
}

// Of the last batch since the service began; without samples before it.
void add_last_batch(Exposition& out, const BatchReport* batch) {
  out.metric("anchorage_last_batch_match_ratio", "gauge", "Share of edits whose target tokens are all the argmax.");
  if (batch != nullptr) {
    out.sample(batch->match_before, label("when", "before"));
    out.sample(batch->match_after, label("when", "after"));
  }
  out.metric("anchorage_last_batch_loss_rise_nats", "gauge", "Rise of the held-out loss, per token.");
  for (const io::ProbeRecord& probe : batch == nullptr ? std::vector<io::ProbeRecord>() : batch->guard.probes) {
    if (probe.name == sharding::held_out_loss) out.sample(probe.after - probe.before);
  }
  out.metric("anchorage_last_batch_layer_change_ratio", "gauge", "Change of a weight over the norm of its base.");
  for (const io::ProbeRecord& probe : batch == nullptr ? std::vector<io::ProbeRecord>() : batch->guard.probes) {
    if (!probe.name.starts_with(sharding::change_of_layer)) continue;
    out.sample(probe.after, label("layer", probe.name.substr(sharding::change_of_layer.size())));
  }
}

}  // namespace

std::string metrics_text(const RunState& state, const ServerFigures& server) {
  Exposition out;
  out.metric("anchorage_build_info", "gauge", "Always 1; the labels say what runs.");
  out.sample(1.0, label("version", state.facts.version) + "," + label("method", state.facts.method));
  out.metric("anchorage_run_state", "gauge", "1 for the state that the run is in, 0 for the others.");
  for (std::size_t i = 0; i < run_stages; ++i) {
    const auto stage = static_cast<RunStage>(i);
    out.sample(stage == state.stage ? 1.0 : 0.0, label("state", name_of(stage)));
  }
  out.metric("anchorage_run_failed", "gauge", "1 where the run has ended by a failure.");
  out.sample(state.failure.empty() ? 0.0 : 1.0);
  out.metric("anchorage_edits", "gauge", "Edits by their state.");
  for (std::size_t i = 0; i < edit_stages; ++i) {
    const auto stage = static_cast<EditStage>(i);
    out.sample(state.ledger.count(stage), label("state", name_of(stage)));
  }
  const auto oldest = state.ledger.oldest_accepted();
  out.metric("anchorage_oldest_accepted_edit_age_seconds", "gauge",
             "How long the oldest edit has waited for its batch.");
  out.sample(oldest ? seconds_since(*oldest) : 0.0);
  out.metric("anchorage_segments", "gauge", "Segments of the journal after the base.");
  out.sample(state.segments);
  out.metric("anchorage_batches_committed_total", "counter", "Batches committed since the service began.");
  out.sample(state.batches);
  out.metric("anchorage_batches_reverted_total", "counter",
             "Attempts that the guard undid since the service began.");
  out.sample(state.reverted);
  out.metric("anchorage_edits_committed_total", "counter", "Edits committed since the service began.");
  out.sample(state.committed);
  out.metric("anchorage_edits_set_aside_total", "counter", "Edits set aside since the service began.");
  out.sample(state.set_aside);
  out.metric("anchorage_removals_total", "counter", "Removals since the service began.");
  out.sample(state.removals);
  out.metric("anchorage_last_commit_timestamp_seconds", "gauge", "When a batch was last committed; 0: not yet.");
  out.sample(state.last_commit.value_or(0));
  out.metric("anchorage_batch_seconds_total", "counter",
             "Seconds of batches by activity, since the service began.");
  const sharding::BatchSeconds& activities = state.seconds.activities;
  out.sample(activities.values, label("activity", "values"));
  out.sample(activities.solve, label("activity", "solve"));
  out.sample(activities.communicate, label("activity", "communicate"));
  out.sample(activities.evaluate, label("activity", "evaluate"));
  out.metric("anchorage_rank_wait_seconds_total", "counter",
             "Seconds that a rank waited for others in batches, since the service began.");
  for (std::size_t i = 0; i < state.seconds.ranks.size(); ++i)
    out.sample(state.seconds.ranks[i].waits, label("rank", std::to_string(i)));
  out.metric("anchorage_rank_memory_bytes", "gauge",
             "The most memory that a rank has had; on a GPU, the most that was in use after a batch.");
  for (std::size_t i = 0; i < state.seconds.ranks.size(); ++i)
    out.sample(state.seconds.ranks[i].memory, label("rank", std::to_string(i)));
  out.metric("anchorage_exports_written_total", "counter", "Exports written since the service began.");
  out.sample(server.exports_written);
  out.metric("anchorage_exports_failed_total", "counter", "Exports that failed since the service began.");
  out.sample(server.exports_failed);
  out.metric("anchorage_weight_drift_ratio", "gauge",
             "Norm of a layer's whole change over that of its base weight.");
  for (const auto& [layer, drift] : state.drift) out.sample(drift, label("layer", std::to_string(layer)));
  add_limits(out, state.facts.guard);
  add_last_batch(out, state.last_batch());
  out.metric("anchorage_http_requests_total", "counter", "Requests answered, by method, route and status.");
  for (const auto& [answer, count] : state.answers) {
    const auto& [method, route, status] = answer;
    out.sample(count, fmt::format("{},{},{}", label("method", method), label("route", route),
                                  label("status", std::to_string(status))));
  }
  out.metric("anchorage_http_connections", "gauge", "Open connections.");
  out.sample(static_cast<std::int64_t>(server.connections));
  out.metric("anchorage_event_clients", "gauge", "Connections that events are sent to.");
  out.sample(static_cast<std::int64_t>(server.event_clients));
  return std::move(out).text();
}

}  // namespace anchorage::coordinator
