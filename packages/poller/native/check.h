// Helpers that every file of the addon shares: a napi_status that is not napi_ok becomes a pending JavaScript
// exception, an errno becomes an Error with `code`, `errno` and `syscall`, and a wrong argument becomes a TypeError.
//
// A function that answers false has left an exception pending; its caller returns nullptr at once.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace roost {

// False, with an exception pending, when `status` is not napi_ok.
bool Ok(napi_env env, napi_status status);

// Throws an Error like Node's own system errors: "listen EADDRINUSE 127.0.0.1:8080". `detail` may be null.
void ThrowErrno(napi_env env, const char* syscall, int error, const char* detail);

void ThrowTypeError(napi_env env, const char* format, ...) __attribute__((format(printf, 2, 3)));

// A JavaScript number for what a call answers; nullptr, with an exception pending, on failure.
inline napi_value Number(napi_env env, int32_t value) {
  napi_value result;
  return Ok(env, napi_create_int32(env, value, &result)) ? result : nullptr;
}

// The memory of a typed array; valid until JavaScript runs again.
template <typename T>
struct Span {
  T* data = nullptr;
  size_t length = 0;
};

// The arguments of one call. Missing ones read as undefined, which no decoder accepts.
template <size_t N>
struct Arguments {
  napi_value values[N] = {};
  // What the function was created with: the Poller for its methods.
  void* data = nullptr;

  bool Read(napi_env env, napi_callback_info info) {
    size_t count = N;
    return Ok(env, napi_get_cb_info(env, info, &count, values, nullptr, &data));
  }
};

// Integers only: NaN, fractions and numbers that would wrap are refused rather than aliased to another slot.
bool ReadInteger(napi_env env, napi_value value, const char* name, int32_t min, int32_t max, int32_t* result);
bool ReadBoolean(napi_env env, napi_value value, const char* name, bool* result);
bool ReadInt32Array(napi_env env, napi_value value, const char* name, Span<int32_t>* result);
bool ReadUint8Array(napi_env env, napi_value value, const char* name, Span<uint8_t>* result);
bool ReadUint16Array(napi_env env, napi_value value, const char* name, Span<uint16_t>* result);
bool ReadFloat64Array(napi_env env, napi_value value, const char* name, Span<double>* result);

// A string of at most `size - 1` bytes of UTF-8 with its terminating zero.
bool ReadString(napi_env env, napi_value value, const char* name, char* buffer, size_t size);

inline bool ReadDescriptor(napi_env env, napi_value value, int32_t* result) {
  return ReadInteger(env, value, "descriptor", 0, INT32_MAX, result);
}

// The fields of an object that a call takes instead of many arguments, where it is not made for every message: each costs
// several times what an argument does. Missing ones read as undefined, which no decoder accepts.
class Fields {
 public:
  bool Read(napi_env env, napi_value object, const char* name);

  // May run JavaScript: get all whose memory is used before the first is decoded. Null, with an exception pending, on
  // failure; decoders answer false for that.
  napi_value Get(const char* name) const;
  bool Integer(const char* name, int32_t min, int32_t max, int32_t* result) const {
    return ReadInteger(env_, Get(name), name, min, max, result);
  }
  bool Boolean(const char* name, bool* result) const { return ReadBoolean(env_, Get(name), name, result); }

 private:
  napi_env env_ = nullptr;
  napi_value object_ = nullptr;
};

// A function of the addon from a call that takes a descriptor and answers a number.
template <int (*Call)(int)>
napi_value OfDescriptor(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t fd;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &fd)) return nullptr;
  return Number(env, Call(fd));
}

// Adds functions to `target`, all with the same `data`.
struct Method {
  const char* name;
  napi_callback callback;
};
bool DefineMethods(napi_env env, napi_value target, const Method* methods, size_t count);

template <size_t N>
bool DefineMethods(napi_env env, napi_value target, const Method (&methods)[N]) {
  return DefineMethods(env, target, methods, N);
}

}  // namespace roost
