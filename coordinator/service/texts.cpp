#include "coordinator/service/texts.hpp"

#include <string_view>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

std::string text_at(std::string_view path) {
  for (const SourceText& text : service_texts()) {
    if (path == text.path) return text.text;
  }
  throw io::InternalError("no text " + std::string(path));
}

void put(std::string& page, std::string_view place, const std::string& text) {
  const std::size_t found = page.find(place);
  io::check(found != std::string::npos, "a place for every part of the page");
  page.replace(found, place.size(), text);
}

// JSON within a script element: no text in it may end the element.
std::string within_script(const std::string& json) {
  std::string text;
  for (const char c : json) c == '<' ? text += "\\u003c" : text += c;
  return text;
}

}  // namespace

std::string openapi_text() {
  return text_at("coordinator/service/openapi.json");
}

std::string page_text(const std::string& data) {
  const std::string folder = "coordinator/service/page/";
  std::string page = text_at(folder + "page.html"), script;
  for (const char* part : {"elements", "pictures", "sections", "live"}) script += text_at(folder + part + ".js");
  put(page, "/*style*/", text_at(folder + "page.css"));
  put(page, "/*script*/", script);
  if (!data.empty()) put(page, R"(id="data">null)", R"(id="data">)" + within_script(data));  // may hold any text
  return page;
}

}  // namespace anchorage::coordinator
