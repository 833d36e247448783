// Addresses that are listened on, and the parts of a request's target.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

namespace anchorage::coordinator {

// Splits "127.0.0.1:8470" or "[::1]:8470". Throws io::UserError for what is no address with a port.
boost::asio::ip::tcp::endpoint endpoint_of(const std::string& address);

// Decodes %41 of a path or a query, and + of a query. Nothing that is decoded is interpreted again.
std::string percent_decoded(std::string_view text, bool is_query);
// Encodes all but letters, digits and -_.~ of a part of a path.
std::string percent_encoded(std::string_view text);

}  // namespace anchorage::coordinator
