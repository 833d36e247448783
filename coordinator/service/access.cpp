#include "coordinator/service/access.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "io/error.hpp"
#include "io/text/trimmed.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::pair<Role, std::string_view> roles[] = {
    {Role::none, "none"}, {Role::read, "read"}, {Role::write, "write"}, {Role::approve, "approve"}};
constexpr std::size_t shortest_token = 16;  // characters

// Whether both are the same, in a time that depends on their lengths alone.
bool are_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// Whether it can be a name; empty: the token has none.
bool is_person(const std::string& text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '#'; };
  return std::ranges::none_of(text, is_control) && !io::first_invalid_utf8(text);
}

void require_private(const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return;
  throw io::UserError({.expected = "a file of tokens that its owner alone may read and write",
                       .found = fmt::format("mode {:03o}", status.st_mode & 0777U),
                       .where = path.string(),
                       .remedy = fmt::format("chmod 600 '{}'", path.string())});
}

}  // namespace

std::string_view name_of(Role role) {
  return roles[static_cast<std::size_t>(role)].second;
}

std::optional<Role> role_named(std::string_view name) {
  for (const auto& [role, known] : roles) {
    if (known == name) return role;
  }
  return std::nullopt;
}

Access Access::read(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) {
    throw io::UserError({.expected = "a file of tokens, with a line 'TOKEN ROLE' each",
                         .found = "none that can be read",
                         .where = path.string(),
                         .remedy = "docs/service.md shows one"});
  }
  require_private(path);
  Access access;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::istringstream words(line);
    std::string token, role, name;
    if (!(words >> token) || token.front() == '#') continue;
    words >> role;
    std::getline(words, name);
    const auto known = role_named(role);
    io::Diagnostic diagnostic{
        .expected = "a line 'TOKEN ROLE' or 'TOKEN ROLE NAME', with the role read, write or approve",
        .found = {},
        .where = fmt::format("{}, line {}", path.string(), number),
        .remedy = "docs/service.md says what each role may do"};
    if (!known || known == Role::none) {
      diagnostic.found = role.empty() ? "a token alone" : fmt::format("a token and '{}'", role);
    } else if (!is_person(io::trimmed(name))) {
      diagnostic.expected = "a name in UTF-8, without control characters and '#'";
      diagnostic.found = "another one";
    } else if (token.size() < shortest_token) {
      diagnostic.expected = fmt::format("a token of at least {} characters", shortest_token);
      diagnostic.found = fmt::format("one of {}", token.size());
      diagnostic.remedy = "make one with 'openssl rand -hex 32'";
    } else if (access.bearer_of(token).role != Role::none) {
      diagnostic.expected = "each token once";
      diagnostic.found = "one that an earlier line has";
    } else {
      access.tokens_.push_back({.token = token, .bearer = {.role = *known, .name = io::trimmed(name)}});
      continue;
    }
    throw io::UserError(diagnostic);
  }
  if (access.has_tokens()) return access;
  throw io::UserError({.expected = "a file of tokens, with a line 'TOKEN ROLE' each",
                       .found = "no such line",
                       .where = path.string(),
                       .remedy = "docs/service.md shows one"});
}

bool Access::is_named(std::string_view name) const {
  return !name.empty() &&
         std::ranges::any_of(tokens_, [&](const Entry& entry) { return entry.bearer.name == name; });
}

Bearer Access::bearer_of(std::string_view token) const {
  const Entry* found = nullptr;
  for (const Entry& entry : tokens_) {
    if (are_equal(entry.token, token)) found = &entry;
  }
  return found == nullptr ? Bearer{} : found->bearer;
}

}  // namespace anchorage::coordinator
