// A TUN device (Linux, Documentation/networking/tuntap.rst): what the kernel sends to its network is read here as IP packets,
// and what is written arrives there. A write runs the server's TCP input, on our time. There are no offloads: the device asks
// for none, so the kernel cuts segments and computes checksums before a packet comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <sys/types.h>
#include <vector>

namespace phantom {

class Tun {
 public:
  ~Tun() { Close(); }

  // Attaches to the device `name`, and waits until it carries packets. The name of the call that failed, with errno set, or null.
  const char* Open(const char* name);
  void Close();
  int fd() const { return fd_; }

  // One packet; 0 when there is none, or -errno.
  ssize_t Read(uint8_t* packet, size_t size);
  // A packet that the kernel does not take is lost, and counted.
  void Write(const uint8_t* packet, size_t size);

  // From now on, in each direction, so many of a million packets are lost, as many come twice, and as many come behind the next.
  void Disturb(uint32_t per_million) { disturbed_ = per_million; }

  uint64_t refused() const { return refused_; }

 private:
  enum class Fate { kArrives, kLost, kTwice, kLate };

  Fate Draw();
  void WriteNow(const uint8_t* packet, size_t size);

  int fd_ = -1;
  uint64_t refused_ = 0;
  uint32_t disturbed_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15;
  std::vector<uint8_t> late_write_;
  std::vector<uint8_t> late_read_;
  // To be read before what is in the device.
  std::deque<std::vector<uint8_t>> to_read_;
};

}  // namespace phantom
