// Who may do what at the service: tokens, each with a role.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::coordinator {

// A role may do what those before it may.
enum class Role { none, read, write, approve };

std::string_view name_of(Role role);
std::optional<Role> role_named(std::string_view name);

class Access {
 public:
  // Without tokens everyone may read, and nobody more: for a loopback address alone.
  Access() = default;

  // Reads a file with a line "TOKEN ROLE" each; empty lines and those that begin with # do not count. Throws
  // io::UserError for a file that is missing, has another line, has a token twice, or one shorter than 16
  // characters; and where others than its owner may read it.
  static Access read(const std::filesystem::path& path);

  bool has_tokens() const { return !tokens_.empty(); }
  // Returns the role of a request with this token; `none` for one that is not known. Takes the same time whichever
  // token it is.
  Role role_of(std::string_view token) const;

 private:
  struct Entry {
    std::string token;
    Role role = Role::read;
  };
  std::vector<Entry> tokens_;
};

}  // namespace anchorage::coordinator
