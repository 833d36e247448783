// What the allocator keeps of freed memory.
#pragma once

namespace anchorage::worker {

// Gives the system back what has been freed on the host, wherever it lies in the heap. The program keeps freed
// memory for the next step (launch/program/main.cpp); after what is done seldom and in large pieces, that would
// only be held.
void return_freed_memory();

}  // namespace anchorage::worker
