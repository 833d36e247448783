#include "coordinator/service/service_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "coordinator/json_text.hpp"
#include "coordinator/service/exchange.hpp"
#include "coordinator/service/http_target.hpp"
#include "coordinator/service/metrics_text.hpp"
#include "coordinator/service/problem.hpp"
#include "coordinator/service/texts.hpp"
#include "io/error.hpp"
#include "io/log.hpp"

namespace anchorage::coordinator {
namespace {

// Splits a path at its slashes, and decodes each part.
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    parts.push_back(percent_decoded(part, false));
    path.remove_prefix(part.size());
  }
  return parts;
}

// Returns what stands for the {...}; nothing where the path is another one.
std::optional<std::vector<std::string>> words_of(const std::string& pattern, const std::vector<std::string>& path) {
  const auto parts = parts_of(pattern);
  if (parts.size() != path.size()) return std::nullopt;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].starts_with('{')) {
      words.push_back(path[i]);
    } else if (parts[i] != path[i]) {
      return std::nullopt;
    }
  }
  return words;
}

// Whether a client means this machine: a page from elsewhere, whose name leads here, would say its own.
bool is_this_machine(const std::string& host) {
  const std::size_t end = host.ends_with(']') ? host.size() : host.rfind(':');
  const std::string name = host.substr(0, end);
  return name == "127.0.0.1" || name == "localhost" || name == "[::1]";
}

}  // namespace

const std::vector<ServiceApi::Entry>& ServiceApi::entries() {
  using Api = ServiceApi;
  static const std::vector<Entry> all = {
      {"GET", "/livez", Role::none, &Api::livez},
      {"GET", "/readyz", Role::none, &Api::readyz},
      {"GET", "/openapi.json", Role::none, &Api::openapi},
      {"GET", "/", Role::none, &Api::page},  // which says nothing of the run by itself
      {"GET", "/metrics", Role::read, &Api::metrics},
      {"GET", "/events", Role::read, &Api::events},
      {"GET", "/v1/run", Role::read, &Api::run},
      {"GET", "/v1/batches", Role::read, &Api::batches},
      {"GET", "/v1/edits", Role::read, &Api::list_edits},
      {"POST", "/v1/edits", Role::write, &Api::give_edits},
      {"GET", "/v1/edits/{id}", Role::read, &Api::one_edit},
      {"DELETE", "/v1/edits/{id}", Role::write, &Api::withdraw},
      {"POST", "/v1/edits/{id}/approve", Role::approve, &Api::approve},
      {"POST", "/v1/generate", Role::read, &Api::generate},
      {"POST", "/v1/score", Role::read, &Api::score},
      {"POST", "/v1/pause", Role::write, &Api::pause},
      {"POST", "/v1/resume", Role::write, &Api::resume},
      {"POST", "/v1/checkpoint", Role::write, &Api::checkpoint},
      {"POST", "/v1/rollback", Role::write, &Api::roll_back},
      {"POST", "/v1/export", Role::write, &Api::begin_export},
      {"GET", "/v1/exports", Role::read, &Api::list_exports},
      {"GET", "/v1/exports/{name}", Role::read, &Api::one_export},
      {"POST", "/v1/stop", Role::write, &Api::stop}};
  return all;
}

std::vector<Route> service_routes() {
  std::vector<Route> routes;
  for (const auto& entry : ServiceApi::entries()) routes.push_back({entry.method, entry.path, entry.role});
  return routes;
}

void ServiceApi::answer(const HttpRequest& request, const Responder& respond) {
  // Names of methods and paths that there are not would be without end.
  std::string route = "other", counted_method = "other";
  for (const std::string known : {"GET", "HEAD", "POST", "DELETE"}) {
    if (request.method == known) counted_method = known;
  }
  // A handler that fails after its answer does not give a second one.
  const Responder once = [respond, is_answered = std::make_shared<bool>(false)](HttpResponse response) {
    if (!std::exchange(*is_answered, true)) respond(std::move(response));
  };
  const auto counted = [&](HttpResponse response) { count(counted_method, route, once)(std::move(response)); };
  try {
    const auto path = parts_of(request.path);
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    std::vector<std::string> allowed;
    for (const Entry& entry : entries()) {
      const auto words = words_of(entry.path, path);
      if (!words) continue;
      allowed.push_back(entry.method);
      if (entry.method != method) continue;
      route = entry.path;
      require(entry.role, request);
      return (this->*entry.handler)(request, *words, count(counted_method, route, once));
    }
    if (allowed.empty()) {
      throw RequestError(404, {.expected = "a path of this service",
                               .found = fmt::format("'{:.200}'", request.path),
                               .where = "request",
                               .remedy = "/openapi.json lists them"});
    }
    HttpResponse refused = problem(405, {.expected = fmt::format("{}", fmt::join(allowed, " or ")),
                                         .found = request.method,
                                         .where = request.path,
                                         .remedy = ""});
    refused.headers.emplace_back("Allow", fmt::format("{}", fmt::join(allowed, ", ")));
    counted(std::move(refused));
  } catch (...) {
    counted(problem_of_exception(fmt::format("{} {}", request.method, request.path)));
  }
}

Responder ServiceApi::count(const std::string& method, const std::string& route, const Responder& respond) const {
  return [&state = service_.state_, method, route, respond](HttpResponse response) {
    ++state.answers[{method, route, response.status}];
    respond(std::move(response));
  };
}

Bearer ServiceApi::bearer_of(const HttpRequest& request) const {
  if (service_.access_.has_tokens()) return service_.access_.bearer_of(request.token);
  return {.role = is_this_machine(request.host) ? Role::read : Role::none};
}

void ServiceApi::require(Role needed, const HttpRequest& request) const {
  const Role role = bearer_of(request).role;
  if (role >= needed) return;
  const std::string where = fmt::format("{} {}", request.method, request.path);
  if (role == Role::none) {
    throw RequestError(401, {.expected = "a token, as 'Authorization: Bearer TOKEN'",
                             .found = request.token.empty() ? "none" : "one that is not known",
                             .where = where,
                             .remedy = "whoever runs the service has its file of tokens"});
  }
  throw RequestError(403, {.expected = fmt::format("the role {}", name_of(needed)),
                           .found = std::string(name_of(role)),
                           .where = where,
                           .remedy = service_.access_.has_tokens() ? "ask with a token of that role"
                                                                   : "start the service with --token-file"});
}

void ServiceApi::require_run(const std::string& what) const {
  if (!service_.options_.takes_edits) {
    throw RequestError(409, {.expected = "a service that takes edits",
                             .found = "a run that has its edits from files",
                             .where = what,
                             .remedy = "'anchorage serve' starts one"});
  }
  if (!service_.has_begun_ || service_.state_.stage == RunStage::finished)
    throw RequestError(503, run_has_ended(what));
}

HostedRun& ServiceApi::open_run(const std::string& what) const {
  HostedRun* run = service_.open_run();
  if (run == nullptr) throw RequestError(503, run_has_ended(what));
  return *run;
}

HostedRun& ServiceApi::open_served_run(const std::string& what) const {
  require_run(what);
  return open_run(what);
}

void ServiceApi::livez(const HttpRequest&, const Words&, const Responder& respond) {
  respond({.content_type = "text/plain", .body = "ok\n"});
}

void ServiceApi::readyz(const HttpRequest&, const Words&, const Responder& respond) {
  const RunStage stage = service_.state_.stage;
  const bool ready = stage == RunStage::waiting || stage == RunStage::editing || stage == RunStage::paused;
  respond(
      {.status = ready ? 200U : 503U, .content_type = "text/plain", .body = fmt::format("{}\n", name_of(stage))});
}

void ServiceApi::openapi(const HttpRequest&, const Words&, const Responder& respond) {
  respond({.body = openapi_text()});
}

void ServiceApi::page(const HttpRequest&, const Words&, const Responder& respond) {
  respond({.content_type = "text/html; charset=utf-8",
           .body = page_text(),
           .headers = {
               {"Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
                "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
               {"Referrer-Policy", "no-referrer"}}});
}

void ServiceApi::metrics(const HttpRequest&, const Words&, const Responder& respond) {
  const ServerFigures figures{.connections = service_.server_->connections(),
                              .event_clients = service_.server_->event_clients(),
                              .exports_written = service_.exports_->written(),
                              .exports_failed = service_.exports_->failed()};
  respond(
      {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_text(service_.state_, figures)});
}

void ServiceApi::events(const HttpRequest&, const Words&, const Responder& respond) {
  respond({.content_type = "text/event-stream",
           .body = event_text("run", text_of(service_.state_.document())),
           .events = true});
}

HttpResponse ServiceApi::run_document(unsigned status) const {
  return json_response(service_.state_.document(), status);
}

void ServiceApi::run(const HttpRequest&, const Words&, const Responder& respond) {
  respond(run_document(200));
}

void ServiceApi::batches(const HttpRequest& request, const Words&, const Responder& respond) {
  const auto after = number_in(request, "after", 0, std::numeric_limits<std::int64_t>::max());
  const auto limit = number_in(request, "limit", 100, most_listed);
  respond(json_response(service_.state_.batches_after(after, static_cast<std::size_t>(limit))));
}

}  // namespace anchorage::coordinator
