#include "launch/program/format_option.hpp"

#include "io/edits/formats.hpp"

namespace anchorage::launch {

void add_format_option(CLI::App& command, std::optional<std::string>& format) {
  const auto check = [](const std::string& name) {
    return name == "auto" || io::format_named(name) ? std::string()
                                                    : "expected auto or one of " + io::known_formats();
  };
  command
      .add_option("--format", format,
                  "format of the edits, where their fields do not decide it; docs/edits.md lists the names")
      ->check(check);
}

}  // namespace anchorage::launch
