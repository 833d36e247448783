// The service's requests about edits.
#include "coordinator/service/service_api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "coordinator/service/exchange.hpp"
#include "coordinator/service/http_target.hpp"
#include "coordinator/service/problem.hpp"
#include "io/edits/edit_ids.hpp"
#include "io/error.hpp"
#include "io/text/trimmed.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::ordered_json;

// Returns who approves: the name that the token has, or the one that the body says.
std::string approver_in(const HttpRequest& request, const std::string& name, const Access& access) {
  if (!name.empty() && request.body.empty()) return name;
  const nlohmann::json body = body_of(request);
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

}  // namespace

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

// Says who gives the edit. Who gave it and who approved it is what tokens with names say, and otherwise the record.
void ServiceApi::sign(io::Edit& edit, const Bearer& bearer) const {
  if (edit.author.empty()) edit.author = bearer.name;
  if (bearer.role < Role::approve || service_.access_.is_named(edit.approved_by)) edit.approved_by.clear();
}

std::optional<ServiceApi::Obstacle> ServiceApi::obstacle_to(const io::Edit& edit, const Bearer& bearer) const {
  // Who may approve could otherwise approve what is their own, under another's name.
  if (bearer.role >= Role::approve && !bearer.name.empty() && edit.author != bearer.name) {
    return Obstacle{.reason = fmt::format("the author is '{}', and the token is that of '{}', who may approve",
                                          edit.author, bearer.name)};
  }
  const LedgerEntry* known = service_.state_.ledger.find(edit.id);
  if (known == nullptr) return std::nullopt;
  if (!known->edit.asks_the_same_as(edit)) {
    return Obstacle{.reason = fmt::format("id '{}' is that of another fact, '{}' -> '{}'", edit.id,
                                          known->edit.filled_prompt(), known->edit.target),
                    .is_conflict = true};
  }
  if (known->edit.target == edit.target) return std::nullopt;
  if (service_.inbox_.withdrawn().contains(edit.id)) {
    return Obstacle{.reason = fmt::format("id '{}' was withdrawn; give the edit another one", edit.id),
                    .is_conflict = true};
  }
  if (known->stage != EditStage::queued) return std::nullopt;
  return Obstacle{.reason = fmt::format("id '{}' is being written; try again", edit.id), .is_conflict = true};
}

void ServiceApi::give_edits(const HttpRequest& request, const Words&, const Responder& respond) {
  require_run("POST /v1/edits");
  io::EditsFile file = io::read_edits(request.body, "request");
  io::set_aside_shared_ids(file);
  const Bearer bearer = bearer_of(request);
  std::vector<io::Edit> fresh;
  std::vector<std::string> ids;
  std::set<std::pair<std::string, std::string>> given;  // id and target
  bool conflicts = false;
  for (std::size_t i = 0; i < file.edits.size(); ++i) {
    io::Edit& edit = file.edits[i];
    sign(edit, bearer);
    if (const auto obstacle = obstacle_to(edit, bearer)) {
      conflicts = conflicts || obstacle->is_conflict;
      file.rejected.push_back({.where = file.places[i], .reason = obstacle->reason});
      continue;
    }
    ids.push_back(edit.id);
    const LedgerEntry* known = service_.state_.ledger.find(edit.id);
    const bool is_new = known == nullptr || known->edit.target != edit.target;
    const bool repeats = !given.emplace(edit.id, edit.target).second;
    if (is_new && !repeats) fresh.push_back(edit);
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

}  // namespace anchorage::coordinator
