// Implementation of check.h. Makes no system call and keeps nothing.
#include "check.h"

#include <uv.h>

#include <cstdarg>
#include <cstdio>

namespace roost {

bool Ok(napi_env env, napi_status status) {
  if (status == napi_ok) return true;
  const napi_extended_error_info* info = nullptr;
  const char* message = "unknown Node-API failure";
  if (napi_get_last_error_info(env, &info) == napi_ok && info->error_message != nullptr) {
    message = info->error_message;
  }
  bool pending = false;
  // Neither call can be answered for when it fails: the environment is going down.
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    static_cast<void>(napi_throw_error(env, "POLLER_NODE_API", message));
  }
  return false;
}

void ThrowErrno(napi_env env, const char* syscall, int error, const char* detail) {
  // On Linux libuv's codes are -errno (uv/errno.h), and Node names errors by them.
  char code[32];
  uv_err_name_r(-error, code, sizeof code);
  char message[192];
  std::snprintf(message, sizeof message, "%s %s%s%s", syscall, code, detail == nullptr ? "" : " ",
                detail == nullptr ? "" : detail);
  napi_value code_value, message_value, errno_value, syscall_value, exception;
  if (!Ok(env, napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value)) ||
      !Ok(env, napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &message_value)) ||
      !Ok(env, napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &syscall_value)) ||
      !Ok(env, napi_create_int32(env, -error, &errno_value)) ||
      !Ok(env, napi_create_error(env, code_value, message_value, &exception)) ||
      !Ok(env, napi_set_named_property(env, exception, "errno", errno_value)) ||
      !Ok(env, napi_set_named_property(env, exception, "syscall", syscall_value))) {
    return;
  }
  static_cast<void>(Ok(env, napi_throw(env, exception)));
}

void ThrowTypeError(napi_env env, const char* format, ...) {
  char message[256];
  va_list values;
  va_start(values, format);
  std::vsnprintf(message, sizeof message, format, values);
  va_end(values);
  static_cast<void>(Ok(env, napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", message)));
}

bool ReadInteger(napi_env env, napi_value value, const char* name, int32_t min, int32_t max, int32_t* result) {
  double number;
  napi_status status = napi_get_value_double(env, value, &number);
  if (status != napi_ok) {
    ThrowTypeError(env, "%s must be an integer from %d to %d, got something that is not a number", name, min, max);
    return false;
  }
  // Written so that NaN fails, and before the cast, which is undefined out of range.
  if (!(number >= min && number <= max) || static_cast<int32_t>(number) != number) {
    ThrowTypeError(env, "%s must be an integer from %d to %d, got %.17g", name, min, max, number);
    return false;
  }
  *result = static_cast<int32_t>(number);
  return true;
}

bool ReadBoolean(napi_env env, napi_value value, const char* name, bool* result) {
  if (napi_get_value_bool(env, value, result) == napi_ok) return true;
  ThrowTypeError(env, "%s must be a boolean", name);
  return false;
}

bool ReadInt32Array(napi_env env, napi_value value, const char* name, Span<int32_t>* result) {
  napi_typedarray_type type;
  void* data;
  size_t length;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array) {
    ThrowTypeError(env, "%s must be an Int32Array", name);
    return false;
  }
  *result = {static_cast<int32_t*>(data), length};
  return true;
}

bool ReadUint8Array(napi_env env, napi_value value, const char* name, Span<uint8_t>* result) {
  napi_typedarray_type type;
  void* data;
  size_t length;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    ThrowTypeError(env, "%s must be a Buffer or Uint8Array", name);
    return false;
  }
  *result = {static_cast<uint8_t*>(data), length};
  return true;
}

bool ReadUint16Array(napi_env env, napi_value value, const char* name, Span<uint16_t>* result) {
  napi_typedarray_type type;
  void* data;
  size_t length;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint16_array) {
    ThrowTypeError(env, "%s must be a Uint16Array", name);
    return false;
  }
  *result = {static_cast<uint16_t*>(data), length};
  return true;
}

bool ReadFloat64Array(napi_env env, napi_value value, const char* name, Span<double>* result) {
  napi_typedarray_type type;
  void* data;
  size_t length;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    ThrowTypeError(env, "%s must be a Float64Array", name);
    return false;
  }
  *result = {static_cast<double*>(data), length};
  return true;
}

bool ReadString(napi_env env, napi_value value, const char* name, char* buffer, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    ThrowTypeError(env, "%s must be a string", name);
    return false;
  }
  if (length >= size) {
    ThrowTypeError(env, "%s must have at most %zu bytes, got %zu", name, size - 1, length);
    return false;
  }
  return Ok(env, napi_get_value_string_utf8(env, value, buffer, size, &length));
}

bool Fields::Read(napi_env env, napi_value object, const char* name) {
  env_ = env;
  object_ = object;
  napi_valuetype type;
  if (!Ok(env, napi_typeof(env, object, &type))) return false;
  if (type == napi_object) return true;
  ThrowTypeError(env, "%s must be an object", name);
  return false;
}

napi_value Fields::Get(const char* name) const {
  napi_value value;
  return Ok(env_, napi_get_named_property(env_, object_, name, &value)) ? value : nullptr;
}

bool DefineMethods(napi_env env, napi_value target, const Method* methods, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    if (!Ok(env, napi_create_function(env, methods[i].name, NAPI_AUTO_LENGTH, methods[i].callback, nullptr,
                                      &function)) ||
        !Ok(env, napi_set_named_property(env, target, methods[i].name, function))) {
      return false;
    }
  }
  return true;
}

}  // namespace roost
