// Implementation of tun.h.
#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace phantom {
namespace {

constexpr int kMillion = 1'000'000;
// The device carries packets some milliseconds after somebody has attached; until then the kernel drops them.
constexpr int kCarrierTries = 500;
constexpr timespec kCarrierPause{0, 10 * 1'000'000};

const char* Attach(const char* name, int* fd) {
  *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (*fd < 0) return "open";
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(*fd, TUNSETIFF, &request) < 0) return "TUNSETIFF";
  int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return "socket";
  const char* failed = "SIOCGIFFLAGS";
  errno = ENETDOWN;
  for (int tries = 0; tries < kCarrierTries; tries++) {
    if (ioctl(socket_fd, SIOCGIFFLAGS, &request) < 0) break;
    if ((request.ifr_flags & IFF_RUNNING) != 0) {
      failed = nullptr;
      break;
    }
    nanosleep(&kCarrierPause, nullptr);
  }
  int error = errno;
  close(socket_fd);
  errno = error;
  return failed;
}

}  // namespace

const char* Tun::Open(const char* name) {
  const char* failed = Attach(name, &fd_);
  if (failed == nullptr) return nullptr;
  int error = errno;
  Close();
  errno = error;
  return failed;
}

void Tun::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

ssize_t Tun::Read(uint8_t* packet, size_t size) {
  if (!to_read_.empty()) {
    size_t length = std::min(size, to_read_.front().size());
    std::memcpy(packet, to_read_.front().data(), length);
    to_read_.pop_front();
    return static_cast<ssize_t>(length);
  }
  for (;;) {
    ssize_t length = read(fd_, packet, size);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno == EAGAIN ? 0 : -errno;
    Fate fate = disturbed_ == 0 ? Fate::kArrives : Draw();
    if (fate == Fate::kLost) continue;
    if (fate == Fate::kLate && late_read_.empty()) {
      late_read_.assign(packet, packet + length);
      continue;
    }
    if (fate == Fate::kTwice) to_read_.emplace_back(packet, packet + length);
    if (!late_read_.empty()) to_read_.push_back(std::move(late_read_));
    late_read_.clear();
    return length;
  }
}

void Tun::Write(const uint8_t* packet, size_t size) {
  Fate fate = disturbed_ == 0 ? Fate::kArrives : Draw();
  if (fate == Fate::kLost) return;
  if (fate == Fate::kLate && late_write_.empty()) {
    late_write_.assign(packet, packet + size);
    return;
  }
  if (fate == Fate::kTwice) WriteNow(packet, size);
  WriteNow(packet, size);
  if (!late_write_.empty()) WriteNow(late_write_.data(), late_write_.size());
  late_write_.clear();
}

void Tun::WriteNow(const uint8_t* packet, size_t size) {
  ssize_t written;
  do written = write(fd_, packet, size);
  while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(size)) refused_++;
}

// xorshift64, from the same seed each time.
Tun::Fate Tun::Draw() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  uint64_t number = (random_ >> 20) % kMillion;
  if (number < disturbed_) return Fate::kLost;
  if (number < 2u * disturbed_) return Fate::kTwice;
  if (number < 3u * disturbed_) return Fate::kLate;
  return Fate::kArrives;
}

}  // namespace phantom
