#include "coordinator/service/service_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "coordinator/json_text.hpp"
#include "coordinator/service/exchange.hpp"
#include "coordinator/service/http_target.hpp"
#include "coordinator/service/metrics_text.hpp"
#include "coordinator/service/problem.hpp"
#include "coordinator/service/questions.hpp"
#include "coordinator/service/texts.hpp"
#include "io/edits/edit_ids.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/text/trimmed.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t most_listed = 1000;

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

// Returns who approves: the name that the token has, or the one that the body says.
std::string approver_in(const HttpRequest& request, const std::string& name, const Access& access) {
  if (!name.empty() && request.body.empty()) return name;
  const json body = body_of(request);
  if (!name.empty() && !body.contains("by")) return name;
  const std::string by = io::trimmed(text_in(body, "by"));  // as the inbox reads it again
  if (by.empty()) refuse_body("a field 'by' with a name");
  if (name.empty() ? !access.is_named(by) : by == name) return by;
  throw RequestError(403,
                     {.expected = name.empty() ? "the token of who approves"
                                               : fmt::format("an approval by '{}', whose token this is", name),
                      .found = fmt::format("one by '{:.200}'{}", by, name.empty() ? ", who has another token" : ""),
                      .where = "POST " + request.path,
                      .remedy = name.empty() ? "" : "leave out 'by'"});
}

io::Diagnostic run_has_ended(const std::string& what) {
  return {.expected = "a run that continues",
          .found = "one that has not begun or has ended",
          .where = what,
          .remedy = "try again when /readyz answers 200"};
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
  } catch (const RequestError& error) {
    counted(problem(error.status(), error.diagnostic()));
  } catch (const io::UserError& error) {
    counted(problem(400, error.what()));
  } catch (const io::SystemError& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    counted(problem(503, error.what()));
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    counted(problem(500, std::string("the program is wrong here: ") + error.what()));
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

void ServiceApi::list_edits(const HttpRequest& request, const Words&, const Responder& respond) {
  const auto limit = number_in(request, "limit", 100, most_listed);
  std::optional<EditStage> stage;
  if (const auto asked = request.query.find("state"); asked != request.query.end()) {
    stage = edit_stage_named(asked->second);
    if (!stage) {
      throw RequestError(400, {.expected = "a state of an edit",
                               .found = fmt::format("'{:.40}'", asked->second),
                               .where = "query, state",
                               .remedy = "docs/service.md lists them"});
    }
  }
  auto list = ordered_json::array();
  for (const LedgerEntry* entry : service_.state_.ledger.newest(stage, static_cast<std::size_t>(limit)))
    list.push_back(document_of(*entry));
  respond(json_response({{"edits", list}}));
}

const LedgerEntry& ServiceApi::known(const std::string& id) const {
  const LedgerEntry* entry = service_.state_.ledger.find(id);
  if (entry != nullptr) return *entry;
  throw RequestError(404, {.expected = "the id of an edit",
                           .found = fmt::format("'{:.200}'", id),
                           .where = "request",
                           .remedy = "/v1/edits lists them"});
}

void ServiceApi::one_edit(const HttpRequest&, const Words& words, const Responder& respond) {
  respond(json_response(document_of(known(words[0]))));
}

void ServiceApi::give_edits(const HttpRequest& request, const Words&, const Responder& respond) {
  require_run("POST /v1/edits");
  io::EditsFile file = io::read_edits(request.body, "request");
  io::set_aside_shared_ids(file);
  std::vector<io::Edit> fresh;
  std::vector<std::string> ids;
  std::set<std::pair<std::string, std::string>> given;  // id and target
  bool conflicts = false;
  const Bearer bearer = bearer_of(request);
  for (std::size_t i = 0; i < file.edits.size(); ++i) {
    io::Edit& edit = file.edits[i];
    if (edit.author.empty()) edit.author = bearer.name;
    // Who may approve could otherwise approve what is their own, under another's name.
    if (bearer.role >= Role::approve && !bearer.name.empty() && edit.author != bearer.name) {
      file.rejected.push_back(
          {.where = file.places[i],
           .reason = fmt::format("the author is '{}', and the token is that of '{}', who may approve", edit.author,
                                 bearer.name)});
      continue;
    }
    if (bearer.role < Role::approve || service_.access_.is_named(edit.approved_by)) edit.approved_by.clear();
    const LedgerEntry* known = service_.state_.ledger.find(edit.id);
    const bool is_new_target = known != nullptr && known->edit.target != edit.target;
    if (known != nullptr && !known->edit.asks_the_same_as(edit)) {
      conflicts = true;
      file.rejected.push_back({.where = file.places[i],
                               .reason = fmt::format("id '{}' is that of another fact, '{}' -> '{}'", edit.id,
                                                     known->edit.filled_prompt(), known->edit.target)});
      continue;
    }
    const bool is_withdrawn = service_.inbox_.withdrawn().contains(edit.id);
    if (is_new_target && (known->stage == EditStage::queued || is_withdrawn)) {
      conflicts = true;
      file.rejected.push_back(
          {.where = file.places[i],
           .reason = is_withdrawn ? fmt::format("id '{}' was withdrawn; give the edit another one", edit.id)
                                  : fmt::format("id '{}' is being written; try again", edit.id)});
      continue;
    }
    ids.push_back(edit.id);
    const bool repeats = !given.emplace(edit.id, edit.target).second;
    if ((known == nullptr || is_new_target) && !repeats) fresh.push_back(edit);
  }
  if (!fresh.empty()) service_.inbox_.add(fresh);
  for (const io::Edit& edit : fresh) service_.admit(edit);

  auto edits = ordered_json::array(), rejected = ordered_json::array();
  for (const std::string& id : ids) {
    edits.push_back(
        {{"id", id}, {"state", name_of(known(id).stage)}, {"location", "/v1/edits/" + percent_encoded(id)}});
  }
  for (const io::Rejected& one : file.rejected) rejected.push_back({{"where", one.where}, {"reason", one.reason}});
  if (ids.empty()) {
    const io::Rejected& first = file.rejected.front();
    return respond(problem(conflicts ? 409 : 400, {.expected = "edits that can be used",
                                                   .found = fmt::format("{} that cannot; the first: {}",
                                                                        file.rejected.size(), first.reason),
                                                   .where = first.where,
                                                   .remedy = "docs/edits.md shows an edit"}));
  }
  respond(json_response({{"edits", edits}, {"rejected", rejected}}, 202));
  service_.publish_run();
  service_.flush();
}

void ServiceApi::withdraw(const HttpRequest&, const Words& words, const Responder& respond) {
  require_run("DELETE /v1/edits/{id}");
  const LedgerEntry& entry = known(words[0]);
  const std::string id = entry.edit.id;
  EditLedger& ledger = service_.state_.ledger;
  const bool is_written = ledger.is_live(id) || entry.stage == EditStage::queued;
  if (is_written && !service_.options_.can_remove) {
    throw RequestError(409, {.expected = "a method that can take an edit out of the weights",
                             .found = service_.state_.facts.method,
                             .where = "DELETE /v1/edits/" + id,
                             .remedy = "'anchorage rollback' goes back to an earlier batch"});
  }
  if (!service_.inbox_.withdrawn().contains(id)) service_.inbox_.withdraw({&id, 1});
  const bool is_open = entry.stage == EditStage::proposed || entry.stage == EditStage::accepted;
  if (is_open || entry.stage == EditStage::set_aside) ledger.move(id, EditStage::withdrawn);
  if (ledger.is_live(id) && service_.run_ != nullptr) service_.run_->remove({id});
  respond(json_response(document_of(entry), is_written ? 202 : 200));
  service_.publish_run();
}

void ServiceApi::approve(const HttpRequest& request, const Words& words, const Responder& respond) {
  require_run("POST /v1/edits/{id}/approve");
  const LedgerEntry& entry = known(words[0]);
  const std::string by = approver_in(request, bearer_of(request).name, service_.access_);
  const std::string where = "POST " + request.path;
  if (entry.stage != EditStage::proposed) {
    throw RequestError(409, {.expected = "an edit that waits for approval",
                             .found = fmt::format("one that is {}", name_of(entry.stage)),
                             .where = where,
                             .remedy = ""});
  }
  if (by == entry.edit.author) {
    throw RequestError(409, {.expected = "somebody else than the author to approve",
                             .found = fmt::format("'{}', who gave the edit", by),
                             .where = where,
                             .remedy = "let another look at it"});
  }
  io::Edit approved = entry.edit;
  approved.approved_by = by;
  service_.inbox_.add({&approved, 1});  // its later line counts
  service_.state_.ledger.approve(approved.id, by);
  respond(json_response(document_of(entry)));
  service_.publish_run();
  service_.flush();
}

void ServiceApi::generate(const HttpRequest& request, const Words&, const Responder& respond) {
  service_.ask(continuation_in(body_of(request)), [respond](std::optional<sharding::Reply> reply) {
    if (!reply) return respond(problem(503, run_has_ended("POST /v1/generate")));
    respond(response_of(std::get<sharding::PromptsContinued>(*reply)));
  });
}

void ServiceApi::score(const HttpRequest& request, const Words&, const Responder& respond) {
  service_.ask(scores_in(body_of(request)), [respond](std::optional<sharding::Reply> reply) {
    if (!reply) return respond(problem(503, run_has_ended("POST /v1/score")));
    respond(response_of(std::get<sharding::TextsScored>(*reply)));
  });
}

void ServiceApi::pause(const HttpRequest&, const Words&, const Responder& respond) {
  require_run("POST /v1/pause");
  service_.paused_ = true;
  if (service_.idle_) service_.enter(RunStage::waiting);
  respond(run_document(200));
}

void ServiceApi::resume(const HttpRequest&, const Words&, const Responder& respond) {
  require_run("POST /v1/resume");
  service_.paused_ = false;
  if (service_.idle_) service_.enter(RunStage::waiting);
  service_.flush();
  respond(run_document(200));
}

void ServiceApi::checkpoint(const HttpRequest&, const Words&, const Responder& respond) {
  require_run("POST /v1/checkpoint");
  if (service_.run_ == nullptr) throw RequestError(503, run_has_ended("POST /v1/checkpoint"));
  if (!service_.options_.saves_checkpoints) {
    throw RequestError(409, {.expected = "a run with checkpoints",
                             .found = "--checkpoint-every 0",
                             .where = "POST /v1/checkpoint",
                             .remedy = "start the service with another number"});
  }
  service_.run_->save();
  respond(run_document(202));
}

void ServiceApi::roll_back(const HttpRequest& request, const Words&, const Responder& respond) {
  require_run("POST /v1/rollback");
  const json body = body_of(request);
  const std::int64_t last = service_.state_.segments;
  const bool has_number = body.is_object() && body.contains("to_batch") && body["to_batch"].is_number_integer();
  if (!has_number || body["to_batch"] < 0 || body["to_batch"] > last)
    refuse_body(fmt::format("a field 'to_batch' from 0, the base model, to {}, the last segment", last));
  if (service_.run_ == nullptr) throw RequestError(503, run_has_ended("POST /v1/rollback"));
  service_.rollback_ = body["to_batch"].get<std::int64_t>();
  service_.idle_ = false;
  service_.enter(RunStage::replaying);  // it is not ready until it is rolled back
  service_.run_->close();
  respond(run_document(202));
}

void ServiceApi::begin_export(const HttpRequest& request, const Words&, const Responder& respond) {
  require_run("POST /v1/export");
  if (service_.run_ == nullptr || service_.state_.stage == RunStage::stopping)
    throw RequestError(503, run_has_ended("POST /v1/export"));
  const ExportRequest asked = export_in(body_of(request));
  const std::int64_t last = service_.state_.segments;
  if (asked.segment.value_or(0) > last)
    refuse_body(fmt::format("a field 'batch' up to {}, the last segment", last));
  if (asked.canaries && !service_.state_.facts.has_canaries)
    refuse_body("a run with canaries, which the field 'canaries' asks for");
  const ordered_json& document = service_.exports_->begin(asked, last);
  respond(json_response(document, document["state"] == "written" ? 200 : 202));
}

void ServiceApi::list_exports(const HttpRequest&, const Words&, const Responder& respond) {
  respond(json_response(service_.exports_->list()));
}

void ServiceApi::one_export(const HttpRequest&, const Words& words, const Responder& respond) {
  const ordered_json* document = service_.exports_->find(words[0]);
  if (document != nullptr) return respond(json_response(*document));
  throw RequestError(404, {.expected = "the name of an export",
                           .found = fmt::format("'{:.200}'", words[0]),
                           .where = "request",
                           .remedy = "/v1/exports lists them"});
}

void ServiceApi::stop(const HttpRequest&, const Words&, const Responder& respond) {
  require_run("POST /v1/stop");
  service_.enter(RunStage::stopping);
  service_.idle_ = false;
  service_.paused_ = true;
  if (service_.run_ != nullptr) service_.run_->close();
  respond(run_document(202));
}

}  // namespace anchorage::coordinator
