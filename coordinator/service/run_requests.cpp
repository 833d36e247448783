// The service's requests that ask or steer the run.
#include "coordinator/service/service_api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "coordinator/service/exchange.hpp"
#include "coordinator/service/problem.hpp"
#include "coordinator/service/questions.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::size_t most_questions = 64;  // that wait for the batch in flight

}  // namespace

void ServiceApi::ask(const std::string& what, sharding::Command command, const Responder& respond,
                     const std::function<HttpResponse(const sharding::Reply&)>& response_to) {
  if (service_.questions_.size() >= most_questions) {
    throw RequestError(503, {.expected = fmt::format("at most {} questions that wait", most_questions),
                             .found = "one more",
                             .where = what,
                             .remedy = "ask again when a batch has been written"});
  }
  service_.ask(open_run(what), std::move(command), [=](const std::optional<sharding::Reply>& reply) {
    if (!reply) return respond(problem(503, run_has_ended(what)));
    try {
      respond(response_to(*reply));
    } catch (...) {
      respond(problem_of_exception(what));
    }
  });
}

void ServiceApi::generate(const HttpRequest& request, const Words&, const Responder& respond) {
  ask("POST /v1/generate", continuation_in(body_of(request)), respond,
      [](const sharding::Reply& reply) { return response_of(std::get<sharding::PromptsContinued>(reply)); });
}

void ServiceApi::score(const HttpRequest& request, const Words&, const Responder& respond) {
  ask("POST /v1/score", scores_in(body_of(request)), respond,
      [](const sharding::Reply& reply) { return response_of(std::get<sharding::TextsScored>(reply)); });
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
  HostedRun& run = open_served_run("POST /v1/checkpoint");
  if (!service_.options_.saves_checkpoints) {
    throw RequestError(409, {.expected = "a run with checkpoints",
                             .found = "--checkpoint-every 0",
                             .where = "POST /v1/checkpoint",
                             .remedy = "start the service with another number"});
  }
  run.save();
  respond(run_document(202));
}

void ServiceApi::roll_back(const HttpRequest& request, const Words&, const Responder& respond) {
  HostedRun& run = open_served_run("POST /v1/rollback");
  const nlohmann::json body = body_of(request);
  const std::int64_t last = service_.state_.segments;
  const bool has_number = body.is_object() && body.contains("to_batch") && body["to_batch"].is_number_integer();
  if (!has_number || body["to_batch"] < 0 || body["to_batch"] > last)
    refuse_body(fmt::format("a field 'to_batch' from 0, the base model, to {}, the last segment", last));
  service_.rollback_ = body["to_batch"].get<std::int64_t>();
  service_.idle_ = false;
  service_.enter(RunStage::replaying);  // it is not ready until it is rolled back
  run.close();
  respond(run_document(202));
}

void ServiceApi::begin_export(const HttpRequest& request, const Words&, const Responder& respond) {
  (void)open_served_run("POST /v1/export");
  const ExportRequest asked = export_in(body_of(request));
  const std::int64_t last = service_.state_.segments;
  if (asked.segment.value_or(0) > last)
    refuse_body(fmt::format("a field 'batch' up to {}, the last segment", last));
  if (asked.canaries && !service_.state_.facts.has_canaries)
    refuse_body("a run with canaries, which the field 'canaries' asks for");
  const nlohmann::ordered_json& document = service_.exports_->begin(asked, last);
  respond(json_response(document, document["state"] == "written" ? 200 : 202));
}

void ServiceApi::list_exports(const HttpRequest&, const Words&, const Responder& respond) {
  respond(json_response(service_.exports_->list()));
}

void ServiceApi::one_export(const HttpRequest&, const Words& words, const Responder& respond) {
  const nlohmann::ordered_json* document = service_.exports_->find(words[0]);
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
