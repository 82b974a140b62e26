// What the kernel knows of TCP connections: getsockopt(2) of TCP_INFO (tcp(7)) for many descriptors in one call, on the
// calling thread. Descriptors are only asked, nothing is kept.
#include "check.h"

// Not <netinet/tcp.h>, whose struct of the same name has no counts of segments in glibc.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace roost {
namespace {

// As in src/tcp-sample.ts.
enum Field {
  kRttMicros,
  kUnansweredTimeouts,
  kRetransmittedSegments,
  kSentSegments,
  kAcknowledgedBytes,
  kReceivedBytes,
  kFields
};

bool Read(int fd, double* fields) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
  fields[kRttMicros] = info.tcpi_rtt;
  fields[kUnansweredTimeouts] = info.tcpi_retransmits;
  fields[kRetransmittedSegments] = info.tcpi_total_retrans;
  // From here on 0 on a kernel older than 4.2, which does not fill them.
  fields[kSentSegments] = info.tcpi_segs_out;
  fields[kAcknowledgedBytes] = static_cast<double>(info.tcpi_bytes_acked);
  fields[kReceivedBytes] = static_cast<double>(info.tcpi_bytes_received);
  return true;
}

// Answers how many of the descriptors are TCP connections; their fields stand one after the other.
napi_value TcpInfo(napi_env env, napi_callback_info info) {
  Arguments<3> arguments;
  Span<int32_t> fds;
  Span<double> fields;
  int32_t count;
  if (!arguments.Read(env, info) || !ReadInt32Array(env, arguments.values[0], "fds", &fds) ||
      !ReadFloat64Array(env, arguments.values[2], "fields", &fields) ||
      !ReadInteger(env, arguments.values[1], "count", 0,
                   static_cast<int32_t>(std::min(fds.length, fields.length / kFields)), &count)) {
    return nullptr;
  }
  int32_t known = 0;
  for (int32_t i = 0; i < count; i++) {
    if (Read(fds.data[i], fields.data + known * kFields)) known++;
  }
  return Number(env, known);
}

// A sum of what TCP_INFO and an ioctl say is right only if nothing moved in between: asked again then. A stream that moves
// every time has a busy peer, and the caller may come back.
constexpr int kTries = 8;

bool ReadInfo(int fd, tcp_info* info, socklen_t* size) {
  *size = sizeof *info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, size) == 0;
}

// A sleeping connection, as nearly all are, is known after two calls. TCP_INFO is one look, under the lock of the socket: with
// nothing in flight and nothing unsent, all that was sent is acknowledged. And what waits to be read only grows, as the reader
// is who asks: when there is none now, there was none then.
bool IsQuiet(int fd, const tcp_info& info, socklen_t size) {
  // Linux before 4.6 does not say what is unsent.
  if (size < offsetof(tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes) return false;
  int unread;
  return info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0 && ioctl(fd, SIOCINQ, &unread) == 0 && unread == 0;
}

int Positions(int fd, double* positions) {
  for (int i = 0; i < kTries; i++) {
    tcp_info before{}, after{};
    socklen_t size;
    if (!ReadInfo(fd, &before, &size)) return -errno;
    int unacknowledged = 0, unread = 0;
    if (!IsQuiet(fd, before, size)) {
      if (ioctl(fd, SIOCOUTQ, &unacknowledged) < 0 || ioctl(fd, SIOCINQ, &unread) < 0 || !ReadInfo(fd, &after, &size)) {
        return -errno;
      }
      if (before.tcpi_bytes_acked != after.tcpi_bytes_acked ||
          before.tcpi_bytes_received != after.tcpi_bytes_received) {
        continue;
      }
    }
    positions[0] = static_cast<double>(before.tcpi_bytes_acked) + unacknowledged;
    positions[1] = static_cast<double>(before.tcpi_bytes_received) - unread;
    return 0;
  }
  return -EAGAIN;
}

napi_value StreamPositions(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  int32_t fd;
  Span<double> positions;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &fd) ||
      !ReadFloat64Array(env, arguments.values[1], "positions", &positions)) {
    return nullptr;
  }
  if (positions.length < 2) {
    ThrowTypeError(env, "positions must have room for 2 numbers");
    return nullptr;
  }
  return Number(env, Positions(fd, positions.data));
}

}  // namespace

bool DefineTcpInfo(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {{"tcpInfo", TcpInfo}, {"streamPositions", StreamPositions}};
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
