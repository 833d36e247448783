#include "io/error.hpp"
#include "io/files/sealed_file.hpp"
#include "io/run/journal/segment.hpp"

namespace anchorage::io {

std::string verify_segment(const std::filesystem::path& path) {
  SealedFile sealed = read_seal(path);
  if (sealed.diagnostic.empty()) return std::move(sealed.digest);
  throw UserError(
      {.expected = "a segment as it was committed",
       .found = sealed.diagnostic,
       .where = path.string(),
       .remedy = "put back the file from a copy; without one, move it and all later segments away and continue "
                 "from the batch before with --resume"});
}

}  // namespace anchorage::io
