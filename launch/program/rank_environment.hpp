// Reads what mpirun and Slurm say in the environment of a process: how many ranks share its machine, which of
// them it is, and how many cores it may use.
//
// A variable that is not set or empty says nothing. One that is set to something other than a number (or, for
// Slurm's tasks per node, a list such as "4(x2),3") throws io::UserError that names it: a guess would put two
// ranks on one GPU, or threads of several ranks on one core.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace anchorage::launch {

// Returns the value of an environment variable; nothing where it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

// Looks a variable up in the environment of this process.
std::optional<std::string> process_environment(const std::string& name);

// Returns the number of ranks on this machine; 1 where no launcher says. From Slurm's list it takes the entry
// of this node, or the largest entry where Slurm does not number the node.
int ranks_on_machine(const EnvironmentLookup& environment);

// Returns this rank's number among the ranks on its machine; 0 where no launcher says.
int rank_on_machine(const EnvironmentLookup& environment);

// Returns the CPUs that Slurm gives a task; without Slurm, an even share of the machine's cores, at least
// one.
int cores_per_rank(const EnvironmentLookup& environment, int cores_of_machine);

}  // namespace anchorage::launch
