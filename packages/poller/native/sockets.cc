// TCP sockets by descriptor: socket(2), bind(2), listen(2), accept4(2), connect(2), all non-blocking and close-on-exec,
// and the state of a socket: getsockname(2), getsockopt(2), ioctl(2). On the calling thread. Descriptors belong
// to the caller from the moment they are answered. listen and localAddress throw system errors; accept answers a count,
// connect a descriptor, both -errno on failure. Nothing is kept, so there is nothing to do at teardown.
#include "check.h"
#include "syscalls.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace roost {
namespace {

// As ADDRESS_BYTES in src/constants.ts.
constexpr size_t kAddressBytes = 18;
// Once keepalive probes have begun. With TCP_USER_TIMEOUT set, that decides when to give up, not the count (tcp(7)).
constexpr int kKeepAliveProbeSeconds = 10;
constexpr int kKeepAliveProbes = 3;

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_storage storage;

  socklen_t size() const { return any.sa_family == AF_INET ? sizeof v4 : sizeof v6; }
};

bool ReadAddress(napi_env env, napi_value host, const char* name, int32_t port, Address* address) {
  char text[INET6_ADDRSTRLEN];
  if (!ReadString(env, host, name, text, sizeof text)) return false;
  std::memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(static_cast<uint16_t>(port));
    return true;
  }
  if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(static_cast<uint16_t>(port));
    return true;
  }
  ThrowTypeError(env, "%s must be a numeric IPv4 or IPv6 address, got \"%s\"", name, text);
  return false;
}

int Set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

struct ListenOptions {
  int32_t backlog, keep_alive_seconds, user_timeout_ms, not_sent_lowat_bytes, send_buffer_bytes, defer_accept_seconds;
  bool reuse_port;
};

// The name of the system call that failed, with errno set, or null. Accepted sockets inherit all of it (tcp(7)).
const char* Prepare(int fd, const Address& address, const ListenOptions& options) {
  bool keeps_alive = options.keep_alive_seconds > 0;
  if (Set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
      (options.reuse_port && Set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
      // Whatever net.ipv6.bindv6only says.
      (address.any.sa_family == AF_INET6 && Set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0) ||
      Set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
      (keeps_alive && (Set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) < 0 ||
                       Set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.keep_alive_seconds) < 0 ||
                       Set(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveProbeSeconds) < 0 ||
                       Set(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes) < 0)) ||
      (options.user_timeout_ms > 0 && Set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms) < 0) ||
      (options.not_sent_lowat_bytes > 0 &&
       Set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, options.not_sent_lowat_bytes) < 0) ||
      (options.send_buffer_bytes > 0 && Set(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer_bytes) < 0) ||
      (options.defer_accept_seconds > 0 &&
       Set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept_seconds) < 0)) {
    return "setsockopt";
  }
  if (bind(fd, &address.any, address.size()) < 0 || listen(fd, options.backlog) < 0) return "listen";
  return nullptr;
}

void Describe(const Address& address, char* text, size_t size) {
  char host[INET6_ADDRSTRLEN] = "";
  bool v4 = address.any.sa_family == AF_INET;
  inet_ntop(address.any.sa_family, v4 ? static_cast<const void*>(&address.v4.sin_addr) : &address.v6.sin6_addr, host,
            sizeof host);
  std::snprintf(text, size, v4 ? "%s:%d" : "[%s]:%d", host, ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port));
}

napi_value Listen(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  Fields fields;
  int32_t port;
  Address address;
  ListenOptions options;
  if (!arguments.Read(env, info) || !fields.Read(env, arguments.values[0], "options") ||
      !fields.Integer("port", 0, UINT16_MAX, &port) ||
      !ReadAddress(env, fields.Get("host"), "host", port, &address) ||
      !fields.Integer("backlog", 1, INT32_MAX, &options.backlog) ||
      // The kernel's own bound (MAX_TCP_KEEPIDLE).
      !fields.Integer("keepAliveSeconds", 0, 32767, &options.keep_alive_seconds) ||
      !fields.Integer("userTimeoutMs", 0, INT32_MAX, &options.user_timeout_ms) ||
      !fields.Integer("notSentLowatBytes", 0, INT32_MAX, &options.not_sent_lowat_bytes) ||
      !fields.Integer("sendBufferBytes", 0, INT32_MAX / 2, &options.send_buffer_bytes) ||
      !fields.Integer("deferAcceptSeconds", 0, INT32_MAX, &options.defer_accept_seconds) ||
      !fields.Boolean("reusePort", &options.reuse_port)) {
    return nullptr;
  }
  char text[INET6_ADDRSTRLEN + 10];
  Describe(address, text, sizeof text);
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const char* failed = fd < 0 ? "socket" : Prepare(fd, address, options);
  if (failed == nullptr) return Number(env, fd);
  int error = errno;
  if (fd >= 0) close(fd);
  ThrowErrno(env, failed, error, text);
  return nullptr;
}

napi_value LocalAddress(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t fd;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &fd)) return nullptr;
  Address address;
  socklen_t size = sizeof address;
  int error = getsockname(fd, &address.any, &size) < 0 ? errno : 0;
  if (error == 0 && address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6) error = EAFNOSUPPORT;
  if (error != 0) {
    ThrowErrno(env, "getsockname", error, nullptr);
    return nullptr;
  }
  bool v4 = address.any.sa_family == AF_INET;
  char host[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.any.sa_family, v4 ? static_cast<const void*>(&address.v4.sin_addr) : &address.v6.sin6_addr, host,
            sizeof host);
  napi_value result, text, port;
  if (!Ok(env, napi_create_object(env, &result)) ||
      !Ok(env, napi_create_string_utf8(env, host, NAPI_AUTO_LENGTH, &text)) ||
      !Ok(env, napi_create_int32(env, ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port), &port)) ||
      !Ok(env, napi_set_named_property(env, result, "address", text)) ||
      !Ok(env, napi_set_named_property(env, result, "port", port))) {
    return nullptr;
  }
  return result;
}

// 16 bytes of IPv6, IPv4 as ::ffff:a.b.c.d, then the port; all in network order.
void WriteAddress(const Address& address, uint8_t* bytes) {
  std::memset(bytes, 0, kAddressBytes);
  if (address.any.sa_family == AF_INET) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes + 12, &address.v4.sin_addr, 4);
    std::memcpy(bytes + 16, &address.v4.sin_port, 2);
  } else if (address.any.sa_family == AF_INET6) {
    std::memcpy(bytes, &address.v6.sin6_addr, 16);
    std::memcpy(bytes + 16, &address.v6.sin6_port, 2);
  }
}

// Errors of one connection that is gone already, which accept(2) passes on; the next may be well.
bool ConcernsOneConnection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case ENONET:
      return true;
    default:
      return false;
  }
}

napi_value Accept(napi_env env, napi_callback_info info) {
  Arguments<3> arguments;
  int32_t listener;
  Span<int32_t> fds;
  Span<uint8_t> addresses;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &listener) ||
      !ReadInt32Array(env, arguments.values[1], "fds", &fds) ||
      !ReadUint8Array(env, arguments.values[2], "addresses", &addresses)) {
    return nullptr;
  }
  if (addresses.length / kAddressBytes < fds.length) {
    ThrowTypeError(env, "addresses must have %zu bytes for each of %zu descriptors, got %zu", kAddressBytes,
                   fds.length, addresses.length);
    return nullptr;
  }
  size_t accepted = 0;
  // Bounded also when every connection has failed: the listener stays readable and we are called again.
  for (size_t tries = 0; tries < 2 * fds.length && accepted < fds.length; tries++) {
    Address address;
    socklen_t size = sizeof address;
    int fd = SysAccept(listener, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      WriteAddress(address, addresses.data + accepted * kAddressBytes);
      fds.data[accepted++] = fd;
    } else if (!ConcernsOneConnection(errno)) {
      if (accepted == 0 && errno != EAGAIN) return Number(env, -errno);
      break;
    }
  }
  return Number(env, static_cast<int32_t>(accepted));
}

// The kernel looks for a port when it connects, which may share one between destinations (ip(7)), unless it is given one:
// then bind(2) takes that, also where an earlier connection waits for its end (SO_REUSEADDR).
bool Bind(int fd, const Address& source, int32_t port) {
  bool chosen = port == 0 ? Set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) == 0
                          : Set(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0;
  return chosen && bind(fd, &source.any, source.size()) == 0;
}

napi_value Connect(napi_env env, napi_callback_info info) {
  Arguments<4> arguments;
  int32_t port, source_port;
  Address address, source;
  size_t source_length;
  if (!arguments.Read(env, info) || !ReadInteger(env, arguments.values[1], "port", 1, UINT16_MAX, &port) ||
      !ReadInteger(env, arguments.values[3], "sourcePort", 0, UINT16_MAX, &source_port) ||
      !ReadAddress(env, arguments.values[0], "host", port, &address)) {
    return nullptr;
  }
  if (napi_get_value_string_utf8(env, arguments.values[2], nullptr, 0, &source_length) != napi_ok) {
    ThrowTypeError(env, "sourceAddress must be a string");
    return nullptr;
  }
  bool has_source = source_length > 0;
  if (has_source && !ReadAddress(env, arguments.values[2], "sourceAddress", source_port, &source)) return nullptr;
  if (has_source && source.any.sa_family != address.any.sa_family) {
    ThrowTypeError(env, "sourceAddress must be of the same family as host");
    return nullptr;
  }
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Number(env, -errno);
  if (Set(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0 && (!has_source || Bind(fd, source, source_port)) &&
      // After EINTR it goes on in the background (connect(2)).
      (connect(fd, &address.any, address.size()) == 0 || errno == EINPROGRESS || errno == EINTR)) {
    return Number(env, fd);
  }
  int error = errno;
  close(fd);
  return Number(env, -error);
}

int SocketError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int OutstandingBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : -errno;
}

int UnreadBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCINQ, &bytes) == 0 ? bytes : -errno;
}

// Of the process that connected, as the kernel has noted it then (unix(7)).
int PeerUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? static_cast<int>(peer.uid) : -errno;
}

}  // namespace

bool DefineSockets(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {
      {"listen", Listen},
      {"localAddress", LocalAddress},
      {"accept", Accept},
      {"connect", Connect},
      {"socketError", OfDescriptor<SocketError>},
      {"outstandingBytes", OfDescriptor<OutstandingBytes>},
      {"unreadBytes", OfDescriptor<UnreadBytes>},
      {"peerUser", OfDescriptor<PeerUser>},
  };
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
