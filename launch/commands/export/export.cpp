// `anchorage export`: writes a run's edited model as a Hugging Face directory, a LoRA adapter or a GGUF file.
// Prints what was written and what rounding or truncation lost. Exit codes: 0; 2 for bad input, and nothing is
// left; 1 for any other failure, one of --verify or --canaries included.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/service/exports.hpp"
#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest_manifest.hpp"
#include "io/files/staging_directory.hpp"
#include "launch/commands/export/adapter_export.hpp"
#include "launch/commands/export/canary_check.hpp"
#include "launch/commands/export/full_export.hpp"
#include "launch/commands/export/gguf_export.hpp"
#include "launch/commands/export/model_card.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct ExportOptions {
  std::string run;
  std::filesystem::path out;
  std::string format = "hf";
  std::string rank = "auto";
  std::string gguf_type = "auto";
  bool link = false;
  bool verify = false;
  std::filesystem::path canaries{};  // empty: none
  pid_t parent = 0;                  // the process that this one ends with; 0: none
};

constexpr std::array forms = {
    ExportForm{.name = "hf",
               .library = "transformers",
               .content = "the whole model in the base's layout",
               .use = "from transformers import AutoModelForCausalLM\n"
                      "model = AutoModelForCausalLM.from_pretrained(\".\")"},
    ExportForm{.name = "peft",
               .library = "peft",
               .content = "the change alone, as a LoRA adapter of the base",
               .use = "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n"
                      "base = AutoModelForCausalLM.from_pretrained(BASE)\n"
                      "model = PeftModel.from_pretrained(base, \".\")"},
    ExportForm{.name = "gguf",
               .library = "gguf",
               .content = "the whole model for llama.cpp",
               .use = "llama-cli --model model.gguf --prompt ..."},
};

// Throws io::UserError for an option that has no effect with the format.
void require_format(const ExportOptions& options, bool given, const std::string& option,
                    const std::string& format) {
  if (!given || options.format == format) return;
  throw io::UserError({.expected = fmt::format("--format {} with {}", format, option),
                       .found = fmt::format("--format {}", options.format),
                       .where = option,
                       .remedy = "leave one of the two out"});
}

// Of a text that `check_rank` has let pass.
std::optional<std::int64_t> given_rank(const std::string& text) {
  return text == "auto" ? std::nullopt : std::optional(std::stol(text));
}

std::string check_rank(const std::string& text) {
  std::int64_t rank = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  const bool is_rank = error == std::errc() && end == text.data() + text.size() && rank >= 1 && rank <= 65536;
  return text == "auto" || is_rank ? "" : "expected auto or a whole number from 1 to 65536";
}

void write(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
           const ExportOptions& options, const Session& session) {
  if (options.format == "peft") {
    write_adapter_export(report, run, directory, {.rank = given_rank(options.rank), .verify = options.verify},
                         session);
  } else if (options.format == "gguf") {
    write_gguf_export(report, run, directory, {.type = options.gguf_type, .verify = options.verify});
  } else {
    const auto unchanged = options.link ? io::Unchanged::share : io::Unchanged::copy;
    report_full_export(report, write_full_export(run, directory, unchanged));
    if (options.verify) verify_full_export(report, run, directory, session);
  }
}

// Has the kernel end this process with its parent, and before it where memory runs out.
void end_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::ofstream("/proc/self/oom_score_adj") << 1000;
  if (::getppid() == parent) return;
  throw io::SystemError({.expected = "the process that started this one",
                         .found = "that it has ended",
                         .where = "--parent",
                         .remedy = "nothing was written"});
}

int run_export(const ExportOptions& options, Session& session) {
  if (!session.is_root()) return done;
  if (options.parent > 0) end_with(options.parent);
  require_format(options, options.rank != "auto", "--rank", "peft");
  require_format(options, options.gguf_type != "auto", "--gguf-type", "gguf");
  require_format(options, options.link, "--link", "hf");
  const ExportedRun run = open_exported_run(options.run);
  io::StagingDirectory staging(options.out, run.base.path());
  ExportReport report;
  if (!options.canaries.empty()) require_canaries(report, run, options.canaries, session);
  write(report, run, staging.path(), options, session);
  const auto& form = *std::ranges::find(forms, options.format, &ExportForm::name);
  io::write_file_atomically(staging.path() / "README.md", model_card(run, form, report));
  report.document.update({{"format", options.format},
                          {"batch", run.argument.batch.value_or(run.segment)},
                          {"edits", run.scores.edits},
                          {"read_back", options.verify},
                          {"version", ANCHORAGE_VERSION}});
  io::write_file_atomically(staging.path() / coordinator::export_report_name, report.document.dump(2) + "\n");
  io::write_digest_manifest(staging.path());
  staging.rename_to_target();

  report.document["out"] = options.out.string();
  session.json()
      ? session.print(report.document)
      : session.print(fmt::format("{}: {} edits\n{}", options.out.string(), run.scores.edits, report.text));
  return done;
}

}  // namespace

void add_export_command(CommandLine& line) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = line.app.add_subcommand(
      "export", "Write a run's edited model as a Hugging Face directory, a LoRA adapter or a GGUF file");
  command->add_option("run", options->run, "RUN[@N]")->required();
  command->add_option("--out", options->out, "the directory to make")->required();
  command
      ->add_option("--format", options->format,
                   "hf: the whole model; peft: a LoRA adapter of the change; gguf: one file for llama.cpp")
      ->check(CLI::IsMember({"hf", "peft", "gguf"}));
  command
      ->add_option("--rank", options->rank,
                   "of the adapter; auto: the smallest that vLLM accepts and that holds the change")
      ->check(check_rank);
  command->add_option("--gguf-type", options->gguf_type, "of matrices in the GGUF file; auto: as in the model")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16"}));
  command->add_flag("--link", options->link,
                    "share files of weights that no edit changed with the base: reflinks or hard links");
  command->add_option(
      "--canaries", options->canaries,
      "a file of prompts that must be answered so, or as the unedited model answers them: nothing is "
      "written where one is not");
  command->add_option("--parent", options->parent)->group("");  // of the exports that 'serve' has written
  command->add_flag("--verify", options->verify,
                    "read back what was written and compare it with the run's weights");
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_export(*options, session); }; });
}

}  // namespace anchorage::launch
