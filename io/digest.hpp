// SHA-256 of bytes.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace anchorage::io {

// Fed piece by piece; the pieces' borders do not matter.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits. Ends the computation.
  std::string hex();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const;
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace anchorage::io
