// What requests say and what they are answered, as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/service/http_message.hpp"
#include "io/error.hpp"

namespace anchorage::coordinator {

inline constexpr std::size_t most_listed = 1000;  // entries of an answer

HttpResponse json_response(const nlohmann::ordered_json& document, unsigned status = 200);

// Reads a whole number of the query, from 0 to `most`. Throws RequestError, 400, for anything else.
std::int64_t number_in(const HttpRequest& request, const std::string& name, std::int64_t otherwise,
                       std::int64_t most);

// Reads the body. Throws io::UserError where it is no JSON.
nlohmann::json body_of(const HttpRequest& request);

// Throws RequestError, 400.
[[noreturn]] void refuse_body(const std::string& expected);

// Says that there is no run to ask now.
io::Diagnostic run_has_ended(const std::string& what);

// Returns the text of a field. Throws RequestError, 400, where there is none.
std::string text_in(const nlohmann::json& object, const std::string& name);

}  // namespace anchorage::coordinator
