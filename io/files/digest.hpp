// SHA-256 of bytes, as `sha256sum` prints it.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

// Fed piece by piece; the pieces' borders do not matter.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  // 64 lower-case hexadecimal digits, of what came so far: more may follow.
  std::string hex() const;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const;
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

// Reads the file once, in parts. SystemError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace anchorage::io
