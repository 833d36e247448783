#include "coordinator/service/exchange.hpp"

#include <fmt/format.h>

#include <charconv>

#include "coordinator/json_text.hpp"
#include "coordinator/service/problem.hpp"
#include "io/text/strict_json.hpp"

namespace anchorage::coordinator {

HttpResponse json_response(const nlohmann::ordered_json& document, unsigned status) {
  return {.status = status, .body = text_of(document) + "\n"};
}

std::int64_t number_in(const HttpRequest& request, const std::string& name, std::int64_t otherwise,
                       std::int64_t most) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return otherwise;
  std::int64_t value = -1;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= most) return value;
  throw RequestError(400, {.expected = fmt::format("a whole number from 0 to {}", most),
                           .found = fmt::format("'{:.40}'", text),
                           .where = "query, " + name,
                           .remedy = ""});
}

nlohmann::json body_of(const HttpRequest& request) {
  return io::parse_strict_json(request.body, "request");
}

void refuse_body(const std::string& expected) {
  throw RequestError(
      400,
      {.expected = expected, .found = "another body", .where = "request", .remedy = "docs/service.md shows one"});
}

io::Diagnostic run_has_ended(const std::string& what) {
  return {.expected = "a run that continues",
          .found = "one that has not begun, is being rolled back, is ending or has ended",
          .where = what,
          .remedy = "try again when /readyz answers 200"};
}

std::string text_in(const nlohmann::json& object, const std::string& name) {
  if (object.is_object() && object.contains(name) && object.at(name).is_string()) return object.at(name);
  refuse_body(fmt::format("a field '{}' with text", name));
}

}  // namespace anchorage::coordinator
