// What mpirun and Slurm say in the environment of a process: how many ranks share its machine, which of them it is,
// and how many cores it may use.
//
// A variable that is not set or empty says nothing. One that is set to something else than a number (or, for
// Slurm's tasks per node, a list such as "4(x2),3") throws io::UserError that names it: a guess would put two ranks
// on one GPU, or threads of several ranks on one core.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace anchorage::launch {

// The value of an environment variable; nothing where it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

// Looks into the environment of this process.
std::optional<std::string> process_environment(const std::string& name);

// Ranks on this machine; 1 where no launcher says. Of Slurm's list it takes the entry of this node, and the largest
// where Slurm does not number the node.
int ranks_on_machine(const EnvironmentLookup& environment);

// This rank's number among the ranks on its machine; 0 where no launcher says.
int rank_on_machine(const EnvironmentLookup& environment);

// The CPUs that Slurm gives a task; elsewhere a fair share of the machine's cores, at least one.
int cores_per_rank(const EnvironmentLookup& environment, int cores_of_machine);

}  // namespace anchorage::launch
