#include "launch/program/options.hpp"

#include "io/edits/formats.hpp"
#include "io/error.hpp"
#include "launch/program/number_checks.hpp"
#include "worker/editing/method.hpp"
#include "worker/kernels/forms.hpp"

namespace anchorage::launch {

void add_session_options(CLI::App& command, SessionOptions& options) {
  command.add_flag("--json", options.json, "print JSON: one document, one per request from 'score'");
  command.add_flag("--quiet", options.quiet, "log warnings and errors only, and no progress");
  command.add_flag("--verbose", options.verbose, "log what every rank does");
  command.add_option("--device", options.device, "where to compute: auto (a GPU where there is one), cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command.add_option("--dtype", options.dtype, "dtype of the weights: auto (as in the model), fp32, bf16 or fp16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16", "fp16"}));
  command
      .add_option(
          "--threads", options.threads,
          "threads of each rank; 0: the CPUs that Slurm gives a task, else the cores divided by the ranks on the "
          "machine")
      ->check(whole_number(0, most_threads));
  command
      .add_option(
          "--reference-kernels", options.reference_kernels,
          "kernels to run in torch's own operations instead of fused ones: " + worker::kernels::kernel_names())
      ->delimiter(',')
      ->check([](const std::string& name) {
        try {
          worker::kernels::all_but(std::span(&name, 1), "--reference-kernels");
          return std::string();
        } catch (const io::UserError& error) {
          return std::string(error.what());
        }
      });
  command.add_option("--deadline", options.deadline, "seconds that a rank waits for the others")
      ->check(number_above_zero());
}

void add_stages_option(CLI::App& command, SessionOptions& options) {
  command
      .add_option("--stages", options.stages,
                  "ranks that share a model, each with some of its layers; auto: on GPUs as many as make a "
                  "batch fastest, and one on CPUs")
      ->check(whole_number(1, most_ranks))
      ->default_str("auto");
}

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

void add_method_option(CLI::App& command, std::string& method) {
  command.add_option("--method", method, worker::method_names());
}

void add_hparams_options(CLI::App& command, std::string& path, std::vector<std::string>& assignments) {
  command.add_option("--hparams", path, "hyper-parameters, YAML or JSON; docs/hparams.md lists them");
  command.add_option("--set", assignments, "key=value: changes a hyper-parameter; may be given several times");
}

}  // namespace anchorage::launch
