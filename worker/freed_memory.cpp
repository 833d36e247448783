#include "worker/freed_memory.hpp"

#include <malloc.h>

namespace anchorage::worker {

void return_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace anchorage::worker
