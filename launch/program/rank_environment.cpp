#include "launch/program/rank_environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "io/error.hpp"

namespace anchorage::launch {
namespace {

constexpr int max_number = 1'000'000;  // ranks, nodes and cores

// A variable that is set, and its value.
struct Variable {
  std::string name;
  std::string value;
};

std::optional<Variable> first_set(const EnvironmentLookup& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const std::optional<std::string> value = environment(name);
    if (value && !value->empty()) return Variable{name, *value};
  }
  return std::nullopt;
}

[[noreturn]] void refuse_variable(const Variable& variable, const std::string& expected) {
  throw io::UserError({.expected = expected,
                       .found = fmt::format("'{}'", variable.value),
                       .where = "environment variable " + variable.name,
                       .remedy = "start the program by mpirun or srun, or unset the variable"});
}

// Removes from `text` the number, at least `min`, that it begins with.
std::optional<int> take_number(std::string_view& text, int min) {
  int number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < min || number > max_number) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

int number_of(const Variable& variable, int min) {
  std::string_view text = variable.value;
  const std::optional<int> number = take_number(text, min);
  if (!number || !text.empty())
    refuse_variable(variable, fmt::format("a whole number from {} to {}", min, max_number));
  return *number;
}

// A number of consecutive nodes with the same number of tasks each.
struct NodesAlike {
  int tasks;
  int nodes;
};

// "4(x2),3": two nodes with 4 tasks, then one with 3.
std::optional<std::vector<NodesAlike>> parse_tasks_per_node(std::string_view text) {
  std::vector<NodesAlike> list;
  do {
    const std::optional<int> tasks = take_number(text, 1);
    std::optional<int> nodes = 1;
    if (take(text, "(x")) {
      nodes = take_number(text, 1);
      if (!take(text, ")")) return std::nullopt;
    }
    if (!tasks || !nodes) return std::nullopt;
    list.push_back({*tasks, *nodes});
  } while (take(text, ","));
  if (!text.empty()) return std::nullopt;
  return list;
}

int tasks_on_node(const Variable& variable, const std::optional<Variable>& node_variable) {
  const auto list = parse_tasks_per_node(variable.value);
  if (!list) refuse_variable(variable, "tasks per node as Slurm writes them, such as 4(x2),3");
  if (!node_variable) return std::ranges::max(*list, {}, &NodesAlike::tasks).tasks;
  const int node = number_of(*node_variable, 0);
  int first = 0;
  for (const auto& [tasks, nodes] : *list) {
    if (node - first < nodes) return tasks;
    first += nodes;
  }
  refuse_variable(*node_variable, fmt::format("a node of the {} that {} lists", first, variable.name));
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

int ranks_on_machine(const EnvironmentLookup& environment) {
  if (const auto ranks = first_set(environment, {"OMPI_COMM_WORLD_LOCAL_SIZE"})) return number_of(*ranks, 1);
  const auto tasks = first_set(environment, {"SLURM_STEP_TASKS_PER_NODE"});
  if (!tasks) return 1;
  return tasks_on_node(*tasks, first_set(environment, {"SLURM_NODEID"}));
}

int rank_on_machine(const EnvironmentLookup& environment) {
  const auto rank = first_set(environment, {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"});
  return rank ? number_of(*rank, 0) : 0;
}

int cores_per_rank(const EnvironmentLookup& environment, int cores_of_machine) {
  if (const auto cores = first_set(environment, {"SLURM_CPUS_PER_TASK"})) return number_of(*cores, 1);
  return std::max(1, cores_of_machine / ranks_on_machine(environment));
}

}  // namespace anchorage::launch
