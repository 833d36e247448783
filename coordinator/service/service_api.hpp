// The requests of the service: who may make them, what they say, what they are answered.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/service/http_message.hpp"
#include "coordinator/service/service.hpp"

namespace anchorage::coordinator {

// On the network's thread.
class ServiceApi {
 public:
  // Borrows the service.
  explicit ServiceApi(Service& service) : service_(service) {}

  void answer(const HttpRequest& request, const Responder& respond);

 private:
  friend std::vector<Route> service_routes();
  using Words = std::vector<std::string>;  // what stands for the {...} of the path
  using Handler = void (ServiceApi::*)(const HttpRequest&, const Words&, const Responder&);
  struct Entry {
    std::string method, path;
    Role role;
    Handler handler;
  };
  static const std::vector<Entry>& entries();

  // Counts the answer before it is given.
  Responder count(const std::string& method, const std::string& route, const Responder& respond) const;
  Bearer bearer_of(const HttpRequest& request) const;
  void require(Role needed, const HttpRequest& request) const;
  // Refuses what a run that is over, or has its edits from files, cannot be asked.
  void require_run(const std::string& what) const;
  // The run, unless it has not begun or is over, is ending or being rolled back.
  HostedRun& open_run(const std::string& what) const;
  // The same of a run that takes its edits from the service.
  HostedRun& open_served_run(const std::string& what) const;

  void livez(const HttpRequest&, const Words&, const Responder& respond);
  void readyz(const HttpRequest&, const Words&, const Responder& respond);
  void openapi(const HttpRequest&, const Words&, const Responder& respond);
  void page(const HttpRequest&, const Words&, const Responder& respond);
  void metrics(const HttpRequest&, const Words&, const Responder& respond);
  void events(const HttpRequest&, const Words&, const Responder& respond);
  void run(const HttpRequest&, const Words&, const Responder& respond);
  void batches(const HttpRequest& request, const Words&, const Responder& respond);
  void list_edits(const HttpRequest& request, const Words&, const Responder& respond);
  void one_edit(const HttpRequest&, const Words& words, const Responder& respond);
  void give_edits(const HttpRequest& request, const Words&, const Responder& respond);
  void withdraw(const HttpRequest&, const Words& words, const Responder& respond);
  void approve(const HttpRequest& request, const Words& words, const Responder& respond);
  void generate(const HttpRequest& request, const Words&, const Responder& respond);
  void score(const HttpRequest& request, const Words&, const Responder& respond);
  void pause(const HttpRequest&, const Words&, const Responder& respond);
  void resume(const HttpRequest&, const Words&, const Responder& respond);
  void checkpoint(const HttpRequest&, const Words&, const Responder& respond);
  void roll_back(const HttpRequest& request, const Words&, const Responder& respond);
  void begin_export(const HttpRequest& request, const Words&, const Responder& respond);
  void list_exports(const HttpRequest&, const Words&, const Responder& respond);
  void one_export(const HttpRequest&, const Words& words, const Responder& respond);
  void stop(const HttpRequest&, const Words&, const Responder& respond);

  // Why a record is not taken.
  struct Obstacle {
    std::string reason;
    bool is_conflict = false;  // with what the service has: 409
  };
  void sign(io::Edit& edit, const Bearer& bearer) const;
  std::optional<Obstacle> obstacle_to(const io::Edit& edit, const Bearer& bearer) const;
  const LedgerEntry& known(const std::string& id) const;
  HttpResponse run_document(unsigned status) const;
  // Asks the run, and answers by what it replies.
  void ask(const std::string& what, sharding::Command command, const Responder& respond,
           const std::function<HttpResponse(const sharding::Reply&)>& response_to);

  Service& service_;
};

}  // namespace anchorage::coordinator
