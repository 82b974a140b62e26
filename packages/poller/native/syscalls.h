// System calls that are made for every message or connection, without libc's wrappers: in a process with several threads
// these make each call a cancellation point (pthreads(7)), which costs a tenth of an echo. Ours are never cancelled.
// As the wrappers they answer -1 and set errno.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace roost {

inline ssize_t SysSend(int fd, const void* bytes, size_t length, int flags) {
  return syscall(SYS_sendto, fd, bytes, length, flags, nullptr, 0);
}

inline ssize_t SysReceive(int fd, void* bytes, size_t length, int flags) {
  return syscall(SYS_recvfrom, fd, bytes, length, flags, nullptr, nullptr);
}

inline int SysAccept(int fd, sockaddr* address, socklen_t* size, int flags) {
  return static_cast<int>(syscall(SYS_accept4, fd, address, size, flags));
}

inline int SysClose(int fd) { return static_cast<int>(syscall(SYS_close, fd)); }

}  // namespace roost
