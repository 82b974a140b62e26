// The plain opening handshake (RFC 6455 §4.2), recognised in its bytes: a GET of a path with one Host, Upgrade, Connection,
// key and version 13, no subprotocol and no body. That is what nearly all clients send, and after a deploy all of them send
// it at once, to processes whose JavaScript has hardly run. Whatever is not certainly plain and good is left to the parser
// of the websocket package, which knows every fault and its answer: this reader may be stricter than that one, never more
// lenient, and a differential fuzzer holds the two together. Makes no system call and keeps nothing.
#include "check.h"
#include "sha1.h"

#include <algorithm>
#include <cstring>

namespace roost {
namespace {

constexpr int kMaxHeaders = 100;
constexpr size_t kKeyBytes = 24;
constexpr size_t kAcceptBytes = 28;
constexpr char kGuid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// As in src/plain-handshake.ts.
enum Field { kTargetStart, kTargetEnd, kOffersExtensions, kFields };

constexpr uint8_t kToken = 1;
constexpr uint8_t kValue = 2;
constexpr uint8_t kTarget = 4;
constexpr uint8_t kAuthority = 8;
constexpr uint8_t kKey = 16;

bool IsAlphanumeric(int code) {
  return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
}

// Character classes of RFC 9110 §5.6.2 (token), §5.5 (field content) and RFC 3986 §3, narrowed as in the parser.
struct Classes {
  uint8_t bits[256] = {};

  Classes() {
    for (int code = 0; code < 256; code++) {
      bool is_alphanumeric = IsAlphanumeric(code);
      auto is_one_of = [code](const char* characters) { return code != 0 && std::strchr(characters, code) != nullptr; };
      if (is_alphanumeric || is_one_of("!#$%&'*+-.^_`|~")) bits[code] |= kToken;
      if (code == '\t' || (code >= ' ' && code != 0x7f)) bits[code] |= kValue;
      if (code > ' ' && code < 0x7f && code != '#') bits[code] |= kTarget;
      if (is_alphanumeric || is_one_of(".-_~:[]")) bits[code] |= kAuthority;
      if (is_alphanumeric || is_one_of("+/")) bits[code] |= kKey;
    }
  }
};

struct Text {
  const uint8_t* data;
  size_t length;

  bool Is(const char* bytes, size_t size) const { return length == size && std::memcmp(data, bytes, size) == 0; }

  // `lower` is in small letters.
  bool Equals(const char* lower) const {
    for (size_t i = 0; i < length; i++) {
      uint8_t byte = data[i];
      if (byte >= 'A' && byte <= 'Z') byte = static_cast<uint8_t>(byte | 0x20);
      // Ends the comparison also where `lower` ends: its zero is in no header.
      if (byte != static_cast<uint8_t>(lower[i])) return false;
    }
    return lower[length] == 0;
  }
};

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t start, size_t end) : bytes_(bytes), start_(start), at_(start), end_(end) {}

  // Bytes of the head, or 0 when it is not certainly plain, good and whole.
  size_t Read() {
    if (!RequestLine()) return 0;
    for (int count = 0; !Skip("\r\n", 2); count++) {
      if (count == kMaxHeaders || !Header()) return 0;
    }
    return seen_ == kAllNeeded ? at_ - start_ : 0;
  }

  size_t target_start = 0;
  size_t target_end = 0;
  bool offers_extensions = false;
  const uint8_t* key = nullptr;

 private:
  enum Needed { kHost = 1, kUpgrade = 2, kConnection = 4, kWebSocketKey = 8, kVersion = 16, kAllNeeded = 31 };

  bool Is(size_t at, uint8_t characters) const { return (kClasses.bits[bytes_[at]] & characters) != 0; }

  Text Run(uint8_t characters) {
    size_t from = at_;
    while (at_ < end_ && Is(at_, characters)) at_++;
    return {bytes_ + from, at_ - from};
  }

  bool Skip(const char* text, size_t length) {
    if (end_ - at_ < length || std::memcmp(bytes_ + at_, text, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool RequestLine() {
    if (!Skip("GET /", 5)) return false;
    target_start = at_ - 1;
    Run(kTarget);
    target_end = at_;
    return Skip(" HTTP/1.1\r\n", 11);
  }

  bool Header() {
    Text name = Run(kToken);
    if (name.length == 0 || !Skip(":", 1)) return false;
    while (at_ < end_ && (bytes_[at_] == ' ' || bytes_[at_] == '\t')) at_++;
    Text value = Run(kValue);
    while (value.length > 0 && value.data[value.length - 1] == ' ') value.length--;
    // Legal, but other readers of the request stumble over it behind some of the headers.
    if (value.length > 0 && value.data[value.length - 1] == '\t') return false;
    return Skip("\r\n", 2) && Take(name, value);
  }

  // False for a header that makes the handshake not plain. All others are for the application.
  bool Take(Text name, Text value) {
    switch (name.length) {
      case 4:
        return !name.Equals("host") || (Once(kHost) && IsAuthority(value));
      case 7:
        return !name.Equals("upgrade") || (Once(kUpgrade) && value.Equals("websocket"));
      case 9:
        return !name.Equals("__proto__") && !name.Equals("prototype");
      case 10:
        return !name.Equals("connection") || (Once(kConnection) && NamesUpgrade(value));
      case 11:
        return !name.Equals("constructor");
      case 13:
        return !name.Equals("authorization") || OnceAuthorized();
      case 14:
        return !name.Equals("content-length");
      case 17:
        if (name.Equals("transfer-encoding")) return false;
        return !name.Equals("sec-websocket-key") || (Once(kWebSocketKey) && IsKey(value));
      case 21:
        return !name.Equals("sec-websocket-version") || (Once(kVersion) && value.Is("13", 2));
      case 22:
        return !name.Equals("sec-websocket-protocol");
      case 24:
        offers_extensions = offers_extensions || name.Equals("sec-websocket-extensions");
        return true;
      default:
        return true;
    }
  }

  bool Once(Needed header) {
    bool is_first = (seen_ & header) == 0;
    seen_ |= header;
    return is_first;
  }

  bool OnceAuthorized() {
    bool is_first = !is_authorized_;
    is_authorized_ = true;
    return is_first;
  }

  static bool IsAuthority(Text value) {
    return std::all_of(value.data, value.data + value.length,
                       [](uint8_t byte) { return (kClasses.bits[byte] & kAuthority) != 0; });
  }

  // `Upgrade` or `keep-alive, Upgrade`, as browsers and libraries write it.
  static bool NamesUpgrade(Text value) {
    return value.Equals("upgrade") || value.Equals("keep-alive, upgrade") || value.Equals("upgrade, keep-alive");
  }

  bool IsKey(Text value) {
    key = value.data;
    return value.length == kKeyBytes && value.data[22] == '=' && value.data[23] == '=' &&
           std::all_of(value.data, value.data + 22,
                       [](uint8_t byte) { return (kClasses.bits[byte] & kKey) != 0; });
  }

  static const Classes kClasses;
  const uint8_t* bytes_;
  size_t start_;
  size_t at_;
  size_t end_;
  int seen_ = 0;
  bool is_authorized_ = false;
};

const Classes Reader::kClasses;

void WriteAccept(const uint8_t* key, uint8_t* accept) {
  uint8_t text[kKeyBytes + sizeof kGuid - 1];
  std::memcpy(text, key, kKeyBytes);
  std::memcpy(text + kKeyBytes, kGuid, sizeof kGuid - 1);
  static_assert(sizeof text <= kMaxSha1Input, "two blocks are enough");
  // A byte of zeros completes the last group of three.
  uint8_t digest[kSha1Bytes];
  Sha1(text, sizeof text, digest);
  for (size_t at = 0; at < kSha1Bytes; at += 3) {
    uint32_t last = at + 2 < kSha1Bytes ? digest[at + 2] : 0;
    uint32_t group = uint32_t{digest[at]} << 16 | uint32_t{digest[at + 1]} << 8 | last;
    for (int shift = 18; shift >= 0; shift -= 6) *accept++ = static_cast<uint8_t>(kBase64[group >> shift & 63]);
  }
  accept[-1] = '=';
}

napi_value ReadPlainHandshake(napi_env env, napi_callback_info info) {
  Arguments<5> arguments;
  Span<uint8_t> bytes, accept;
  Span<int32_t> fields;
  int32_t start, end;
  if (!arguments.Read(env, info) || !ReadUint8Array(env, arguments.values[0], "bytes", &bytes)) return nullptr;
  int32_t size = bytes.length > INT32_MAX ? INT32_MAX : static_cast<int32_t>(bytes.length);
  if (!ReadInteger(env, arguments.values[2], "end", 0, size, &end) ||
      !ReadInteger(env, arguments.values[1], "start", 0, end, &start) ||
      !ReadInt32Array(env, arguments.values[3], "fields", &fields) ||
      !ReadUint8Array(env, arguments.values[4], "accept", &accept)) {
    return nullptr;
  }
  if (fields.length < kFields || accept.length < kAcceptBytes) {
    ThrowTypeError(env, "fields must have room for %d elements and accept for %zu bytes, got %zu and %zu", kFields,
                   kAcceptBytes, fields.length, accept.length);
    return nullptr;
  }
  Reader reader(bytes.data, static_cast<size_t>(start), static_cast<size_t>(end));
  size_t head_bytes = reader.Read();
  if (head_bytes > 0) {
    fields.data[kTargetStart] = static_cast<int32_t>(reader.target_start);
    fields.data[kTargetEnd] = static_cast<int32_t>(reader.target_end);
    fields.data[kOffersExtensions] = reader.offers_extensions ? 1 : 0;
    WriteAccept(reader.key, accept.data);
  }
  return Number(env, static_cast<int32_t>(head_bytes));
}

}  // namespace

bool DefineHandshake(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {{"readPlainHandshake", ReadPlainHandshake}};
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
