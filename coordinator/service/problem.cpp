#include "coordinator/service/problem.hpp"

#include "coordinator/json_text.hpp"
#include "io/log.hpp"

namespace anchorage::coordinator {
namespace {

std::string title_of(unsigned status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Error";
  }
}

HttpResponse problem_response(unsigned status, const nlohmann::ordered_json& members) {
  HttpResponse response{.status = status, .content_type = "application/problem+json"};
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  response.body = text_of(members);
  return response;
}

nlohmann::ordered_json members_of(unsigned status) {
  return {{"type", "about:blank"}, {"title", title_of(status)}, {"status", status}};
}

}  // namespace

RequestError::RequestError(unsigned status, io::Diagnostic diagnostic)
    : std::runtime_error(io::UserError(diagnostic).what()), status_(status), diagnostic_(std::move(diagnostic)) {}

HttpResponse problem(unsigned status, const io::Diagnostic& diagnostic) {
  nlohmann::ordered_json members = members_of(status);
  members["detail"] = io::UserError(diagnostic).what();
  const std::pair<const char*, const std::string*> parts[] = {{"expected", &diagnostic.expected},
                                                              {"found", &diagnostic.found},
                                                              {"where", &diagnostic.where},
                                                              {"remedy", &diagnostic.remedy}};
  for (const auto& [name, text] : parts) {
    if (!text->empty()) members[name] = *text;
  }
  return problem_response(status, members);
}

HttpResponse problem(unsigned status, const std::string& detail) {
  nlohmann::ordered_json members = members_of(status);
  members["detail"] = detail;
  return problem_response(status, members);
}

HttpResponse problem_of_exception(const std::string& what) {
  try {
    throw;
  } catch (const RequestError& error) {
    return problem(error.status(), error.diagnostic());
  } catch (const io::UserError& error) {
    return problem(400, error.what());
  } catch (const io::SystemError& error) {
    spdlog::error("{}: {}", what, error.what());
    return problem(503, error.what());
  } catch (const std::exception& error) {
    spdlog::error("{}: {}", what, error.what());
    return problem(500, std::string("the program is wrong here: ") + error.what());
  }
}

}  // namespace anchorage::coordinator
