// Descriptors as such: socketpair(2), sendmsg(2) and recvmsg(2) with SCM_RIGHTS (unix(7)), fcntl(2), shutdown(2),
// close(2), on the calling thread. What is sent stays the sender's; what is received or answered is the caller's,
// close-on-exec. Calls answer 0 or a value, or -errno, except descriptorPair, which throws. Nothing is kept, so there is
// nothing to do at teardown.
#include "check.h"
#include "syscalls.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace roost {
namespace {

// SCM_MAX_FD, which no header for user programs has.
constexpr int32_t kMaxDescriptors = 253;

union ControlBuffer {
  cmsghdr header;
  uint8_t bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
};

napi_value DescriptorPair(napi_env env, napi_callback_info) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
    ThrowErrno(env, "socketpair", errno, nullptr);
    return nullptr;
  }
  napi_value pair, first, second;
  if (Ok(env, napi_create_array_with_length(env, 2, &pair)) && Ok(env, napi_create_int32(env, fds[0], &first)) &&
      Ok(env, napi_create_int32(env, fds[1], &second)) && Ok(env, napi_set_element(env, pair, 0, first)) &&
      Ok(env, napi_set_element(env, pair, 1, second))) {
    return pair;
  }
  close(fds[0]);
  close(fds[1]);
  return nullptr;
}

napi_value SendDescriptors(napi_env env, napi_callback_info info) {
  Arguments<4> arguments;
  int32_t channel, count;
  Span<int32_t> fds;
  Span<uint8_t> record;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &channel) ||
      !ReadInt32Array(env, arguments.values[1], "fds", &fds) ||
      !ReadInteger(env, arguments.values[2], "count", 0,
                   static_cast<int32_t>(std::min<size_t>(fds.length, kMaxDescriptors)), &count) ||
      !ReadUint8Array(env, arguments.values[3], "record", &record)) {
    return nullptr;
  }
  if (record.length == 0) {
    ThrowTypeError(env, "record must have at least 1 byte: an empty one would look like the end of the channel");
    return nullptr;
  }
  iovec bytes{record.data, record.length};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  ControlBuffer control;
  if (count > 0) {
    size_t size = static_cast<size_t>(count) * sizeof(int);
    std::memset(&control, 0, CMSG_SPACE(size));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(&control.header), fds.data, size);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(size);
  }
  for (;;) {
    // A record is sent whole or not at all (SOCK_SEQPACKET).
    if (sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return Number(env, 0);
    if (errno != EINTR) return Number(env, -errno);
  }
}

napi_value ReceiveDescriptors(napi_env env, napi_callback_info info) {
  Arguments<4> arguments;
  int32_t channel;
  Span<int32_t> fds;
  Span<uint8_t> record;
  napi_valuetype type;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &channel) ||
      !ReadInt32Array(env, arguments.values[1], "fds", &fds) ||
      !ReadUint8Array(env, arguments.values[2], "record", &record) ||
      !Ok(env, napi_typeof(env, arguments.values[3], &type))) {
    return nullptr;
  }
  if (type != napi_object || record.length == 0) {
    ThrowTypeError(env, type != napi_object ? "result must be an object" : "record must have room for 1 byte");
    return nullptr;
  }
  size_t room = std::min<size_t>(fds.length, kMaxDescriptors);
  iovec bytes{record.data, record.length};
  ControlBuffer control;
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  // CMSG_LEN, not CMSG_SPACE: its padding would let the kernel install one more than there is room for.
  message.msg_controllen = room == 0 ? 0 : CMSG_LEN(room * sizeof(int));
  ssize_t received;
  do {
    received = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);

  size_t count = 0;
  if (received < 0) {
    received = -errno;
  } else {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      size_t size = header->cmsg_len - CMSG_LEN(0);
      std::memcpy(fds.data + count, CMSG_DATA(header), size);
      count += size / sizeof(int);
    }
  }
  napi_value result = arguments.values[3];
  napi_value bytes_value, count_value, truncated_value;
  bool truncated = received >= 0 && (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  if (Ok(env, napi_create_int32(env, static_cast<int32_t>(received), &bytes_value)) &&
      Ok(env, napi_create_int32(env, static_cast<int32_t>(count), &count_value)) &&
      Ok(env, napi_get_boolean(env, truncated, &truncated_value)) &&
      Ok(env, napi_set_named_property(env, result, "bytes", bytes_value)) &&
      Ok(env, napi_set_named_property(env, result, "count", count_value)) &&
      Ok(env, napi_set_named_property(env, result, "truncated", truncated_value))) {
    return result;
  }
  // No caller will learn of them.
  for (size_t i = 0; i < count; i++) close(fds.data[i]);
  return nullptr;
}

int CloseDescriptor(int fd) {
  // Not repeated on EINTR: on Linux the descriptor is gone by then (close(2)).
  return SysClose(fd) == 0 ? 0 : -errno;
}

napi_value CloseDescriptors(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  Span<int32_t> fds;
  int32_t count;
  if (!arguments.Read(env, info) || !ReadInt32Array(env, arguments.values[0], "fds", &fds) ||
      !ReadInteger(env, arguments.values[1], "count", 0, static_cast<int32_t>(fds.length), &count)) {
    return nullptr;
  }
  for (int32_t i = 0; i < count; i++) CloseDescriptor(fds.data[i]);
  return nullptr;
}

int TerminateDescriptor(int fd) {
  shutdown(fd, SHUT_RDWR);
  return CloseDescriptor(fd);
}

int ResetDescriptor(int fd) {
  // close(2) sends RST then, and the kernel keeps nothing: no FIN_WAIT, no TIME_WAIT (socket(7)).
  const linger at_once = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return CloseDescriptor(fd);
}

int DuplicateDescriptor(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy >= 0 ? copy : -errno;
}

int SetCloseOnExec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno; }

}  // namespace

bool DefineDescriptors(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {
      {"descriptorPair", DescriptorPair},
      {"sendDescriptors", SendDescriptors},
      {"receiveDescriptors", ReceiveDescriptors},
      {"closeDescriptor", OfDescriptor<CloseDescriptor>},
      {"closeDescriptors", CloseDescriptors},
      {"terminateDescriptor", OfDescriptor<TerminateDescriptor>},
      {"resetDescriptor", OfDescriptor<ResetDescriptor>},
      {"duplicateDescriptor", OfDescriptor<DuplicateDescriptor>},
      {"setCloseOnExec", OfDescriptor<SetCloseOnExec>},
  };
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
