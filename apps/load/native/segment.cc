// Implementation of segment.h.
#include "segment.h"

#include <arpa/inet.h>

#include <cstring>

namespace phantom {
namespace {

constexpr uint8_t kTcp = 6;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNothing = 1;
constexpr uint8_t kOptionMss = 2;

uint16_t Get16(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, 2);
  return ntohs(value);
}

uint32_t Get32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, 4);
  return ntohl(value);
}

void Put16(uint8_t* at, uint16_t value) {
  value = htons(value);
  std::memcpy(at, &value, 2);
}

void Put32(uint8_t* at, uint32_t value) {
  value = htonl(value);
  std::memcpy(at, &value, 4);
}

// The Internet checksum (RFC 1071) in the machine's byte order, which comes out right in either.
uint64_t Sum(const uint8_t* bytes, size_t length, uint64_t sum) {
  for (; length >= 4; length -= 4, bytes += 4) {
    uint32_t word;
    std::memcpy(&word, bytes, 4);
    sum += word;
  }
  if (length > 0) {
    uint32_t word = 0;
    std::memcpy(&word, bytes, length);
    sum += word;
  }
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// Of the addresses, the protocol and the length.
uint64_t PseudoHeader(const uint8_t* packet, size_t tcp_bytes) {
  return Sum(packet + 12, 8, uint64_t{htons(kTcp)} + htons(static_cast<uint16_t>(tcp_bytes)));
}

uint16_t FindMss(const uint8_t* options, size_t length) {
  for (size_t at = 0; at < length && options[at] != kOptionEnd;) {
    if (options[at] == kOptionNothing) {
      at++;
      continue;
    }
    if (at + 1 >= length || options[at + 1] < 2 || at + options[at + 1] > length) return 0;
    if (options[at] == kOptionMss && options[at + 1] == 4) return Get16(options + at + 2);
    at += options[at + 1];
  }
  return 0;
}

}  // namespace

bool ReadSegment(const uint8_t* packet, size_t size, Segment* segment) {
  if (size < kHeaderBytes || packet[0] >> 4 != 4 || packet[9] != kTcp) return false;
  size_t ip_bytes = (packet[0] & 15u) * 4;
  size_t total = Get16(packet + 2);
  // More fragments, or not the first.
  bool is_fragment = (Get16(packet + 6) & 0x3fff) != 0;
  if (ip_bytes < 20 || total > size || total < ip_bytes + 20 || is_fragment) return false;
  const uint8_t* tcp = packet + ip_bytes;
  size_t tcp_bytes = total - ip_bytes;
  size_t head_bytes = static_cast<size_t>(tcp[12] >> 4) * 4;
  if (head_bytes < 20 || head_bytes > tcp_bytes) return false;
  if (Fold(Sum(packet, ip_bytes, 0)) != 0 || Fold(Sum(tcp, tcp_bytes, PseudoHeader(packet, tcp_bytes))) != 0) return false;
  segment->source = Get32(packet + 12);
  segment->destination = Get32(packet + 16);
  segment->source_port = Get16(tcp);
  segment->destination_port = Get16(tcp + 2);
  segment->sequence = Get32(tcp + 4);
  segment->acknowledgement = Get32(tcp + 8);
  segment->flags = tcp[13];
  segment->window = Get16(tcp + 14);
  segment->mss = (segment->flags & kSyn) != 0 ? FindMss(tcp + 20, head_bytes - 20) : 0;
  segment->data = tcp + head_bytes;
  segment->length = static_cast<uint32_t>(tcp_bytes - head_bytes);
  return true;
}

size_t WriteSegment(const Segment& segment, uint8_t* packet) {
  bool is_syn = (segment.flags & kSyn) != 0;
  size_t head_bytes = is_syn ? 20 + kSynOptionBytes : 20;
  size_t tcp_bytes = head_bytes + segment.length;
  size_t total = 20 + tcp_bytes;
  uint8_t* tcp = packet + 20;
  std::memset(packet, 0, 20 + head_bytes);
  packet[0] = 0x45;
  Put16(packet + 2, static_cast<uint16_t>(total));
  packet[6] = 0x40;  // Don't fragment.
  packet[8] = 64;    // Time to live.
  packet[9] = kTcp;
  Put32(packet + 12, segment.source);
  Put32(packet + 16, segment.destination);
  uint16_t ip_sum = Fold(Sum(packet, 20, 0));
  std::memcpy(packet + 10, &ip_sum, 2);
  Put16(tcp, segment.source_port);
  Put16(tcp + 2, segment.destination_port);
  Put32(tcp + 4, segment.sequence);
  Put32(tcp + 8, segment.acknowledgement);
  tcp[12] = static_cast<uint8_t>(head_bytes / 4 << 4);
  tcp[13] = segment.flags;
  Put16(tcp + 14, segment.window);
  if (is_syn) {
    tcp[20] = kOptionMss;
    tcp[21] = 4;
    Put16(tcp + 22, static_cast<uint16_t>(kMss));
  }
  if (segment.length > 0) std::memcpy(tcp + head_bytes, segment.data, segment.length);
  uint16_t tcp_sum = Fold(Sum(tcp, tcp_bytes, PseudoHeader(packet, tcp_bytes)));
  std::memcpy(tcp + 16, &tcp_sum, 2);
  return total;
}

}  // namespace phantom
