#include "io/digest.hpp"

#include <openssl/evp.h>

#include <array>

#include "io/error.hpp"

namespace anchorage::io {

void Sha256::Free::operator()(EVP_MD_CTX* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
        "SHA-256 cannot begin");
}

void Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA-256 cannot go on");
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest = {};
  check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1, "SHA-256 cannot end");
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

}  // namespace anchorage::io
