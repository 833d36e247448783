// The texts that a service gives out: its page's parts, and its interface's description.
#pragma once

#include <span>
#include <string>

namespace anchorage::coordinator {

struct SourceText {
  const char* path;  // from the source root
  const char* text;
};

// Defined in a file that the build writes (cmake/EmbedTexts.cmake).
std::span<const SourceText> service_texts();

// Returns openapi.json.
std::string openapi_text();
// Returns the page, with style and script in it; `data`, a JSON document, is what it shows in place of asking the
// service, where it is not empty.
std::string page_text(const std::string& data = "");

}  // namespace anchorage::coordinator
