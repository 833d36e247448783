#include "io/error.hpp"

#include <cerrno>
#include <cstring>

namespace anchorage::io {
namespace {

std::string message_of(const Diagnostic& diagnostic) {
  std::string message = fmt::format("expected {}, found {}", diagnostic.expected, diagnostic.found);
  if (!diagnostic.where.empty()) message += fmt::format(", in {}", diagnostic.where);
  if (!diagnostic.remedy.empty()) message += fmt::format("; {}", diagnostic.remedy);
  return message;
}

}  // namespace

UserError::UserError(const Diagnostic& diagnostic) : std::runtime_error(message_of(diagnostic)) {}

SystemError::SystemError(const Diagnostic& diagnostic) : std::runtime_error(message_of(diagnostic)) {}

SystemError SystemError::from_errno(int error, const std::string& operation, const std::string& path) {
  std::string remedy;
  if (error == ENOSPC || error == EDQUOT) remedy = "free some space there and run the same command again";
  if (error == EACCES || error == EROFS || error == EPERM) remedy = "check who may write there";
  return SystemError({.expected = fmt::format("to {}", operation),
                      .found = std::strerror(error),
                      .where = path,
                      .remedy = remedy});
}

void check(bool condition, std::string_view message, std::source_location location) {
  if (condition) return;
  throw InternalError(fmt::format("{} ({}:{})", message, location.file_name(), location.line()));
}

}  // namespace anchorage::io
