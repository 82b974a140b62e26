// SHA-1 of a short text (RFC 3174), for the one use that a WebSocket server has for it (RFC 6455 §4.2.2): to show that it
// has read the key. It protects nothing there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace roost {

constexpr size_t kSha1Bytes = 20;
// What fits into two blocks with the padding and its length.
constexpr size_t kMaxSha1Input = 119;

namespace sha1 {

inline uint32_t Rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

struct State {
  uint32_t a, b, c, d, e;

  void Step(uint32_t mix, uint32_t word) {
    uint32_t next = Rotate(a, 5) + mix + e + word;
    e = d;
    d = c;
    c = Rotate(b, 30);
    b = a;
    a = next;
  }
};

inline void Block(const uint8_t* bytes, State& state) {
  uint32_t words[80];
  for (int i = 0; i < 16; i++, bytes += 4) {
    words[i] = uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
  }
  for (int i = 16; i < 80; i++) words[i] = Rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  State s = state;
  for (int i = 0; i < 20; i++) s.Step(0x5a827999 + (s.d ^ (s.b & (s.c ^ s.d))), words[i]);
  for (int i = 20; i < 40; i++) s.Step(0x6ed9eba1 + (s.b ^ s.c ^ s.d), words[i]);
  for (int i = 40; i < 60; i++) s.Step(0x8f1bbcdc + ((s.b & s.c) | (s.d & (s.b | s.c))), words[i]);
  for (int i = 60; i < 80; i++) s.Step(0xca62c1d6 + (s.b ^ s.c ^ s.d), words[i]);
  state = {state.a + s.a, state.b + s.b, state.c + s.c, state.d + s.d, state.e + s.e};
}

}  // namespace sha1

// `length` is at most kMaxSha1Input.
inline void Sha1(const uint8_t* bytes, size_t length, uint8_t (&digest)[kSha1Bytes]) {
  uint8_t blocks[128] = {};
  std::memcpy(blocks, bytes, length);
  blocks[length] = 0x80;
  size_t size = length < 56 ? 64 : 128;
  blocks[size - 2] = static_cast<uint8_t>(length * 8 >> 8);
  blocks[size - 1] = static_cast<uint8_t>(length * 8);
  sha1::State state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  for (size_t at = 0; at < size; at += 64) sha1::Block(blocks + at, state);
  const uint32_t words[] = {state.a, state.b, state.c, state.d, state.e};
  for (size_t i = 0; i < kSha1Bytes; i++) digest[i] = static_cast<uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace roost
