// `anchorage approve`: writes edits of a file, approved, into a new one in the native format, for runs that require
// approval. Exit codes: 0; 2 for bad input, and nothing was written; 1 for any other failure.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "io/edits/edit_ids.hpp"
#include "io/edits/reader.hpp"
#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/log.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct ApproveOptions {
  std::filesystem::path edits;
  std::vector<std::string> ids;
  bool all = false;
  std::string by;
  std::filesystem::path out;
  std::optional<std::string> format;
};

// Returns those that are named, in the order of the file.
std::vector<io::Edit> named_edits(const io::EditsFile& file, const ApproveOptions& options) {
  if (options.all) return file.edits;
  const std::set<std::string> wanted(options.ids.begin(), options.ids.end());
  std::set<std::string> found;
  std::vector<io::Edit> edits;
  for (const io::Edit& edit : file.edits) {
    if (!wanted.contains(edit.id)) continue;
    found.insert(edit.id);
    edits.push_back(edit);
  }
  for (const std::string& id : wanted) {
    if (found.contains(id)) continue;
    throw io::UserError({.expected = fmt::format("an edit '{}'", id),
                         .found = fmt::format("none of this id among {} edits", file.edits.size()),
                         .where = options.edits.string(),
                         .remedy = "check the id: a record without one has that of docs/edits.md"});
  }
  return edits;
}

int run_approve(const ApproveOptions& options, Session& session) {
  if (!session.is_root()) return done;
  if (options.ids.empty() != options.all) {
    throw io::UserError({.expected = "the edits to approve: --edit, or --all",
                         .found = options.all ? "both" : "neither",
                         .where = "the command line",
                         .remedy = ""});
  }
  if (std::filesystem::exists(options.out)) {
    throw io::UserError({.expected = "a new file",
                         .found = "one that exists",
                         .where = "--out " + options.out.string(),
                         .remedy = "choose another name, or remove it"});
  }
  io::EditsFile file =
      io::read_edits(options.edits, options.format ? io::format_named(*options.format) : std::nullopt);
  io::set_aside_shared_ids(file);
  for (const io::Rejected& rejected : file.rejected) spdlog::warn("{}: {}", rejected.where, rejected.reason);
  std::string lines;
  auto approved = nlohmann::json::array();
  for (io::Edit& edit : named_edits(file, options)) {
    if (edit.author == options.by) {
      throw io::UserError({.expected = "somebody else than the author to approve",
                           .found = fmt::format("'{}', who gave edit {}", options.by, edit.id),
                           .where = options.edits.string(),
                           .remedy = "let another look at it"});
    }
    edit.approved_by = options.by;
    lines += io::to_json(edit) + '\n';
    approved.push_back(edit.id);
  }
  io::write_file_atomically(options.out, lines);
  if (session.json()) {
    session.print(nlohmann::json{{"out", options.out.string()}, {"approved", approved}});
  } else {
    session.print(
        fmt::format("{} edits approved by {}, in {}\n", approved.size(), options.by, options.out.string()));
  }
  return done;
}

}  // namespace

void add_approve_command(CommandLine& line) {
  auto options = std::make_shared<ApproveOptions>();
  CLI::App* command = line.app.add_subcommand("approve", "Write edits of a file, approved, into a new one");
  command->add_option("edits", options->edits, "a file of edits in any of the known formats")->required();
  command->add_option("--edit", options->ids, "an edit's id; may be given several times");
  command->add_flag("--all", options->all, "every edit of the file");
  command->add_option("--by", options->by, "who approves them: another than their author")->required();
  command->add_option("--out", options->out, "the file to write, JSON Lines; it must not be there")->required();
  add_format_option(*command, options->format);
  add_session_options(*command, line.session);
  command->callback([&line, options] {
    line.session.computes = false;
    line.action = [options](Session& session) { return run_approve(*options, session); };
  });
}

}  // namespace anchorage::launch
