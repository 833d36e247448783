// For activities_test: stands where NVIDIA's profilers do (NVTX_INJECTION64_PATH), and writes a line for each range
// into the file that RANGES_FILE names: its depth and its name.
#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>

namespace {

int depth = 0;

int NVTX_API push(const char* name) {
  static std::FILE* const file = std::fopen(std::getenv("RANGES_FILE"), "w");
  if (file != nullptr) {
    std::fprintf(file, "%d %s\n", depth, name);
    std::fflush(file);
  }
  return depth++;
}

int NVTX_API pop() {
  return --depth;
}

}  // namespace

extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable functions = nullptr;
  unsigned count = 0;
  if (callbacks == nullptr || callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &functions, &count) == 0)
    return 0;
  if (count <= NVTX_CBID_CORE_RangePop) return 0;
  *functions[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *functions[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
