// Who may do what at the service: tokens, each with a role, and perhaps with a name.
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

// Who makes a request.
struct Bearer {
  Role role = Role::none;
  std::string name{};  // empty where the token has none
};

class Access {
 public:
  // Without tokens everyone may read, and nobody more: for a loopback address alone.
  Access() = default;

  // Reads a file with a line "TOKEN ROLE" or "TOKEN ROLE NAME" each; a name may have spaces; empty lines and those
  // that begin with # do not count. Throws io::UserError for a file that is missing, has another line, has a token
  // twice, or one shorter than 16 characters; and where others than its owner may read it.
  static Access read(const std::filesystem::path& path);

  bool has_tokens() const { return !tokens_.empty(); }
  // Returns who makes a request with this token; the role `none` for one that is not known. Takes the same time
  // whichever token it is.
  Bearer bearer_of(std::string_view token) const;
  // Whether a token has this name.
  bool is_named(std::string_view name) const;

 private:
  struct Entry {
    std::string token;
    Bearer bearer{};
  };
  std::vector<Entry> tokens_;
};

}  // namespace anchorage::coordinator
