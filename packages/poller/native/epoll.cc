// The backend on Linux: epoll_create1(2), epoll_ctl(2), epoll_pwait(2), on the environment's thread. It owns the
// descriptor of the set and the memory for reports, and touches no other descriptor than to put it in or take it out.
#include "backend.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

namespace roost {

struct KernelEvent {
  epoll_event event;
};

namespace {

static_assert(sizeof(KernelEvent) == sizeof(epoll_event), "epoll_pwait fills an array of them");
static_assert(sizeof(Target) == sizeof(epoll_data_t), "the kernel keeps a Target with each descriptor");

uint32_t MaskOf(int interest) {
  // EPOLLHUP and EPOLLERR cannot be masked and would spin on a paused row, hence ONESHOT (epoll_ctl(2)).
  if (interest == 0) return EPOLLRDHUP | EPOLLONESHOT;
  uint32_t mask = 0;
  if ((interest & kInterestReadable) != 0) mask |= EPOLLIN;
  if ((interest & kInterestWritable) != 0) mask |= EPOLLOUT;
  return mask;
}

int Control(int set, int operation, int fd, Target target, int interest) {
  epoll_event event{};
  event.events = MaskOf(interest);
  std::memcpy(&event.data, &target, sizeof target);
  return epoll_ctl(set, operation, fd, &event) == 0 ? 0 : -errno;
}

}  // namespace

const char* Backend::Open(int32_t max_events) {
  events_ = new (std::nothrow) KernelEvent[static_cast<size_t>(max_events)];
  if (events_ == nullptr) {
    errno = ENOMEM;
    return "malloc";
  }
  fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (fd_ >= 0) return nullptr;
  int error = errno;
  Close();
  errno = error;
  return "epoll_create1";
}

void Backend::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  delete[] events_;
  events_ = nullptr;
}

int Backend::Add(int fd, Target target, int interest) { return Control(fd_, EPOLL_CTL_ADD, fd, target, interest); }

int Backend::Modify(int fd, Target target, int interest) {
  return Control(fd_, EPOLL_CTL_MOD, fd, target, interest);
}

int Backend::Remove(int fd) { return epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : -errno; }

int Backend::Wait(Readiness* ready, int32_t count) {
  // Without libc's wrapper, as in syscalls.h. Not every architecture has SYS_epoll_wait.
  long reported = syscall(SYS_epoll_pwait, fd_, events_, count, 0, nullptr, 0);
  if (reported < 0) return -errno;
  for (long i = 0; i < reported; i++) {
    const epoll_event event = events_[i].event;
    Readiness& one = ready[i];
    std::memcpy(&one.target, &event.data, sizeof one.target);
    one.readable = (event.events & EPOLLIN) != 0;
    one.writable = (event.events & EPOLLOUT) != 0;
    one.hangup = (event.events & EPOLLHUP) != 0;
    one.error = (event.events & EPOLLERR) != 0;
  }
  return static_cast<int>(reported);
}

}  // namespace roost
