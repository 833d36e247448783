// SHA-256 of bytes, in the form that `sha256sum` prints.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

// Takes the bytes piece by piece; where the pieces are cut does not matter.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  // Returns the digest of the bytes so far, 64 lower-case hexadecimal digits; more bytes may follow.
  std::string hex() const;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const;
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

// Reads the file once, in parts. Throws SystemError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace anchorage::io
