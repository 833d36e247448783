// Documents as text, and texts in documents.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace anchorage::coordinator {

// Writes a document on one line; bytes that are no UTF-8 are replaced.
inline std::string text_of(const nlohmann::ordered_json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Null where the text is empty.
inline nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

}  // namespace anchorage::coordinator
