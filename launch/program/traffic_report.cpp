#include "launch/program/traffic_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "io/log.hpp"
#include "io/text/text_of.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {
namespace {

// A rank may still be writing the checkpoint of the layers that it owns, gigabytes of a large model.
constexpr std::int64_t deadlines_to_end = 10;

void add_operations(nlohmann::json& operations, const sharding::TrafficByOperation& own) {
  for (const auto& [name, traffic] : own) {
    operations[name] = {{"calls", traffic.calls}, {"bytes", traffic.bytes}, {"seconds", traffic.seconds}};
  }
}

nlohmann::json own_traffic(Session& session) {
  auto document = nlohmann::json{{"host", nlohmann::json::object()},
                                 {"replicas", nlohmann::json::object()},
                                 {"stages", nlohmann::json::object()},
                                 {"world", nlohmann::json::object()}};
  add_operations(document["host"], session.host().traffic());
  add_operations(document["replicas"], session.peer_host_traffic());
  add_operations(document["replicas"], session.peer_traffic());
  add_operations(document["stages"], session.stage_traffic());
  add_operations(document["world"], session.world_traffic());
  return document;
}

void merge(nlohmann::json& all, const nlohmann::json& of_a_rank) {
  for (const auto& [place, operations] : of_a_rank.items()) {
    all.emplace(place, nlohmann::json::object());
    for (const auto& [name, traffic] : operations.items()) {
      nlohmann::json& sum = all[place].emplace(name, nlohmann::json::object()).first.value();
      const double seconds = traffic["seconds"];
      sum = {{"calls", sum.value("calls", std::int64_t{0}) + traffic["calls"].get<std::int64_t>()},
             {"bytes", sum.value("bytes", std::int64_t{0}) + traffic["bytes"].get<std::int64_t>()},
             {"seconds", sum.value("seconds", 0.0) + seconds},
             {"longest", std::max(sum.value("longest", 0.0), seconds)}};
    }
  }
}

}  // namespace

nlohmann::json gather_traffic(Session& session) {
  session.host().barrier("wait for all to finish", sharding::Timeout::steps(deadlines_to_end));
  const std::string own = own_traffic(session).dump();
  nlohmann::json all;
  for (const auto& bytes : session.host().gather(std::as_bytes(std::span(own)), 0, "gather traffic")) {
    merge(all, nlohmann::json::parse(io::text_of(bytes)));
  }
  return all;
}

void log_traffic(const nlohmann::json& traffic) {
  std::int64_t bytes = 0, calls = 0;
  std::vector<std::pair<double, std::string>> longest;
  for (const auto& [place, operations] : traffic.items()) {
    for (const auto& [name, of_operation] : operations.items()) {
      spdlog::debug("{}: '{}': {} calls, {:.3f} MB, {:.3f} s, {:.3f} s of the rank that spent most", place, name,
                    of_operation["calls"].get<std::int64_t>(), 1e-6 * of_operation["bytes"].get<double>(),
                    of_operation["seconds"].get<double>(), of_operation["longest"].get<double>());
      calls += of_operation["calls"].get<std::int64_t>();
      bytes += of_operation["bytes"].get<std::int64_t>();
      longest.emplace_back(of_operation["longest"], name);
    }
  }
  std::ranges::sort(longest, std::greater<>());
  std::vector<std::string> named;
  for (const auto& [seconds, name] : std::span(longest).first(std::min<std::size_t>(3, longest.size()))) {
    named.push_back(fmt::format("'{}' {:.2f} s", name, seconds));
  }
  spdlog::info("between the ranks: {} calls, {:.1f} MB; longest, waits included: {}", calls,
               1e-6 * static_cast<double>(bytes), fmt::join(named, ", "));
}

}  // namespace anchorage::launch
