// IPv4 packets that carry TCP (RFC 791, RFC 9293 §3.1): bytes to fields and back. No system calls, no state.
#pragma once

#include <cstddef>
#include <cstdint>

namespace phantom {

constexpr uint8_t kFin = 1;
constexpr uint8_t kSyn = 2;
constexpr uint8_t kRst = 4;
constexpr uint8_t kPsh = 8;
constexpr uint8_t kAck = 16;

// Headers without options; what we send has options in a SYN only.
constexpr size_t kHeaderBytes = 40;
constexpr size_t kSynOptionBytes = 4;
constexpr size_t kMtu = 1500;
constexpr size_t kMss = kMtu - kHeaderBytes;

// Host byte order.
struct Segment {
  uint32_t source = 0;
  uint32_t destination = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  uint8_t flags = 0;
  uint16_t window = 0;
  // The MSS option; 0 when there is none.
  uint16_t mss = 0;
  const uint8_t* data = nullptr;
  uint32_t length = 0;
};

// False: not a whole, unfragmented IPv4 packet of TCP with right checksums. `segment.data` points into `packet`.
bool ReadSegment(const uint8_t* packet, size_t size, Segment* segment);

// Writes a packet to `packet`, which has room for kMtu bytes; `segment.length` is at most kMss. A SYN gets the MSS option.
// Answers the packet's size.
size_t WriteSegment(const Segment& segment, uint8_t* packet);

// Sequence numbers wrap: a < b where the way from a to b is the shorter one (RFC 9293 §3.4).
inline bool Before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

}  // namespace phantom
