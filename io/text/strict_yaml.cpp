#include "io/text/strict_yaml.hpp"

#include <algorithm>
#include <string_view>

#include "io/files/lfs_pointer.hpp"

namespace anchorage::io {
namespace {

[[noreturn]] void refuse_yaml(Diagnostic diagnostic, std::string found, std::ptrdiff_t line) {
  diagnostic.found = std::move(found);
  diagnostic.where += fmt::format(", line {}", line);
  throw UserError(diagnostic);
}

void refuse_control_characters(std::string_view text, const Diagnostic& diagnostic) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  };
  const auto* const place = std::ranges::find_if(text, is_control);
  if (place == text.end()) return;
  refuse_yaml(diagnostic,
              fmt::format("the control character 0x{:02x}: the file is torn, or no text in UTF-8", *place),
              std::count(text.begin(), place, '\n') + 1);
}

}  // namespace

YAML::Node parse_strict_yaml(const std::string& text, const Diagnostic& diagnostic) {
  refuse_lfs_pointer(text, diagnostic.where);
  refuse_control_characters(text, diagnostic);
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(text);
  } catch (const YAML::ParserException& error) {
    refuse_yaml(diagnostic, error.msg, error.mark.line + 1);
  }
  std::erase_if(documents, [](const YAML::Node& document) { return document.IsNull(); });
  if (documents.empty()) return {};
  if (documents.size() > 1) refuse_yaml(diagnostic, "a second document", documents[1].Mark().line + 1);
  return documents.front();
}

}  // namespace anchorage::io
