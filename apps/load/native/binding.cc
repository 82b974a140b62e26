// What the addon exports: see src/phantom/native.ts for the types. Arguments come from this package only, whose compiler has checked
// them: a tag is not looked at again, and must have its place in `generations`.
#include "stack.h"

#include <arpa/inet.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

namespace phantom {
namespace {

napi_value Throw(napi_env env, const char* call, int error) {
  char code[32], message[96];
  uv_err_name_r(-error, code, sizeof code);
  std::snprintf(message, sizeof message, "%s %s", call, code);
  // It fails only where an exception is pending already.
  static_cast<void>(napi_throw_error(env, code, message));
  return nullptr;
}

napi_value ThrowNodeApi(napi_env env) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    static_cast<void>(napi_throw_error(env, "PHANTOM_NODE_API", "a call of Node-API failed"));
  }
  return nullptr;
}

struct Arguments {
  static constexpr size_t kMost = 4;
  napi_value values[kMost] = {};
  Stack* stack = nullptr;

  bool Read(napi_env env, napi_callback_info info) {
    size_t count = kMost;
    void* data = nullptr;
    if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok) return false;
    stack = static_cast<Stack*>(data);
    return true;
  }
};

bool ReadUint32(napi_env env, napi_value value, uint32_t* result) {
  return napi_get_value_uint32(env, value, result) == napi_ok;
}

bool ReadField(napi_env env, napi_value object, const char* name, napi_value* value) {
  return napi_get_named_property(env, object, name, value) == napi_ok;
}

bool ReadUint32Field(napi_env env, napi_value object, const char* name, uint32_t* result) {
  napi_value value;
  return ReadField(env, object, name, &value) && ReadUint32(env, value, result);
}

bool ReadStringField(napi_env env, napi_value object, const char* name, char* buffer, size_t size) {
  napi_value value;
  return ReadField(env, object, name, &value) &&
         napi_get_value_string_utf8(env, value, buffer, size, nullptr) == napi_ok;
}

// The memory of a typed array, and a reference that keeps it.
template <typename T>
bool KeepArray(napi_env env, napi_value object, const char* name, T** data, size_t* length, napi_ref* reference) {
  napi_value value;
  void* memory = nullptr;
  if (!ReadField(env, object, name, &value) ||
      napi_get_typedarray_info(env, value, nullptr, length, &memory, nullptr, nullptr) != napi_ok ||
      napi_create_reference(env, value, 1, reference) != napi_ok) {
    return false;
  }
  *data = static_cast<T*>(memory);
  return true;
}

bool ReadBytes(napi_env env, napi_value value, const uint8_t** bytes, uint32_t* length) {
  void* memory = nullptr;
  size_t size = 0;
  if (napi_get_typedarray_info(env, value, nullptr, &size, &memory, nullptr, nullptr) != napi_ok) return false;
  *bytes = static_cast<const uint8_t*>(memory);
  *length = static_cast<uint32_t>(size);
  return true;
}

napi_value Open(napi_env env, napi_callback_info info) {
  Arguments arguments;
  uint32_t tag, length;
  const uint8_t* bytes;
  if (!arguments.Read(env, info) || !ReadUint32(env, arguments.values[0], &tag) ||
      !ReadBytes(env, arguments.values[1], &bytes, &length)) {
    return ThrowNodeApi(env);
  }
  napi_value result;
  int64_t id = arguments.stack->is_open() ? arguments.stack->Use().Open(tag, bytes, length) : -1;
  return napi_create_int64(env, id, &result) == napi_ok ? result : ThrowNodeApi(env);
}

napi_value Send(napi_env env, napi_callback_info info) {
  Arguments arguments;
  uint32_t id, length;
  const uint8_t* bytes;
  if (!arguments.Read(env, info) || !ReadUint32(env, arguments.values[0], &id) ||
      !ReadBytes(env, arguments.values[1], &bytes, &length)) {
    return ThrowNodeApi(env);
  }
  napi_value result;
  bool sent = arguments.stack->is_open() && arguments.stack->Use().Send(id, bytes, length);
  return napi_get_boolean(env, sent, &result) == napi_ok ? result : ThrowNodeApi(env);
}

template <void (Tcp::*Call)(uint32_t)>
napi_value Do(napi_env env, napi_callback_info info) {
  Arguments arguments;
  uint32_t id;
  if (!arguments.Read(env, info) || !ReadUint32(env, arguments.values[0], &id)) return ThrowNodeApi(env);
  if (arguments.stack->is_open()) (arguments.stack->Use().*Call)(id);
  return nullptr;
}

napi_value Resume(napi_env env, napi_callback_info info) {
  Arguments arguments;
  uint32_t id;
  if (!arguments.Read(env, info) || !ReadUint32(env, arguments.values[0], &id)) return ThrowNodeApi(env);
  if (arguments.stack->is_open()) arguments.stack->Resume(id);
  return nullptr;
}

napi_value Unacknowledged(napi_env env, napi_callback_info info) {
  Arguments arguments;
  uint32_t id;
  if (!arguments.Read(env, info) || !ReadUint32(env, arguments.values[0], &id)) return ThrowNodeApi(env);
  napi_value result;
  return napi_create_uint32(env, arguments.stack->tcp->unacknowledged(id), &result) == napi_ok ? result : nullptr;
}

napi_value Counters(napi_env env, napi_callback_info info) {
  Arguments arguments;
  napi_value result;
  if (!arguments.Read(env, info) || napi_create_object(env, &result) != napi_ok) return ThrowNodeApi(env);
  const TcpCounters& counters = arguments.stack->tcp->counters();
  const struct {
    const char* name;
    uint64_t count;
  } all[] = {{"resent", counters.resent},
             {"repeated", counters.repeated},
             {"early", counters.early},
             {"stray", counters.stray},
             {"refused", arguments.stack->tun.refused()}};
  for (const auto& one : all) {
    napi_value number;
    if (napi_create_int64(env, static_cast<int64_t>(one.count), &number) != napi_ok ||
        napi_set_named_property(env, result, one.name, number) != napi_ok) {
      return ThrowNodeApi(env);
    }
  }
  return result;
}

napi_value Destroy(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (arguments.Read(env, info)) arguments.stack->Stop();
  return nullptr;
}

void OnCollected(napi_env, void* data, void*) { static_cast<Stack*>(data)->Collect(); }

bool ReadOptions(napi_env env, napi_value options, Stack* stack, TcpOptions* tcp) {
  Stack::Memory& memory = stack->memory;
  char server[INET_ADDRSTRLEN], first[INET_ADDRSTRLEN];
  uint32_t port, disturbed;
  int32_t* generations;
  size_t generation_count, event_count;
  if (!ReadStringField(env, options, "server", server, sizeof server) ||
      !ReadStringField(env, options, "firstAddress", first, sizeof first) ||
      !ReadUint32Field(env, options, "port", &port) || !ReadUint32Field(env, options, "capacity", &tcp->capacity) ||
      !ReadUint32Field(env, options, "retransmitMs", &tcp->retransmit_ms) ||
      !ReadUint32Field(env, options, "disturbedPerMillion", &disturbed) ||
      !KeepArray(env, options, "generations", &generations, &generation_count, &memory.references[0]) ||
      !KeepArray(env, options, "slab", &memory.slab, &memory.slab_bytes, &memory.references[1]) ||
      !KeepArray(env, options, "events", &memory.events, &event_count, &memory.references[2])) {
    return false;
  }
  memory.generations = generations;
  memory.max_events = event_count / kEventFields;
  in_addr address;
  if (inet_pton(AF_INET, server, &address) != 1) return false;
  tcp->server = ntohl(address.s_addr);
  if (inet_pton(AF_INET, first, &address) != 1) return false;
  tcp->first_address = ntohl(address.s_addr);
  tcp->port = static_cast<uint16_t>(port);
  stack->tun.Disturb(disturbed);
  return true;
}

napi_value CreateStack(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!arguments.Read(env, info)) return ThrowNodeApi(env);
  napi_value options = arguments.values[0];
  Stack* stack = new Stack(env);
  napi_value instance;
  if (napi_create_object(env, &instance) != napi_ok ||
      napi_wrap(env, instance, stack, OnCollected, nullptr, nullptr) != napi_ok) {
    stack->Collect();
    return ThrowNodeApi(env);
  }
  // From here on the stack goes with its instance.
  TcpOptions tcp;
  char device[16];
  if (!ReadOptions(env, options, stack, &tcp) || !ReadStringField(env, options, "device", device, sizeof device) ||
      napi_create_reference(env, instance, 1, &stack->memory.references[3]) != napi_ok) {
    stack->Stop();
    return ThrowNodeApi(env);
  }
  stack->tcp = std::make_unique<Tcp>(tcp, stack);
  const char* failed = stack->tun.Open(device);
  if (failed == nullptr) failed = stack->Start();
  if (failed != nullptr) {
    int error = errno;
    stack->Stop();
    return Throw(env, failed, error);
  }
  static constexpr struct {
    const char* name;
    napi_callback callback;
  } kMethods[] = {{"open", Open},
                  {"send", Send},
                  {"shutDown", Do<&Tcp::ShutDown>},
                  {"close", Do<&Tcp::Close>},
                  {"reset", Do<&Tcp::Reset>},
                  {"pause", Do<&Tcp::Pause>},
                  {"resume", Resume},
                  {"unacknowledged", Unacknowledged},
                  {"counters", Counters},
                  {"destroy", Destroy}};
  for (const auto& method : kMethods) {
    napi_value function;
    if (napi_create_function(env, method.name, NAPI_AUTO_LENGTH, method.callback, stack, &function) != napi_ok ||
        napi_set_named_property(env, instance, method.name, function) != napi_ok) {
      stack->Stop();
      return ThrowNodeApi(env);
    }
  }
  return instance;
}

// The calling thread goes before all others that are not as urgent, as clients on another machine would. 0 or -errno.
napi_value PreferThread(napi_env env, napi_callback_info) {
  sched_param param{};
  param.sched_priority = 1;
  napi_value result;
  int error = sched_setscheduler(0, SCHED_FIFO, &param) == 0 ? 0 : -errno;
  return napi_create_int32(env, error, &result) == napi_ok ? result : nullptr;
}

}  // namespace
}  // namespace phantom

NAPI_MODULE_INIT() {
  napi_value create, prefer;
  if (napi_create_function(env, "createStack", NAPI_AUTO_LENGTH, phantom::CreateStack, nullptr, &create) != napi_ok ||
      napi_create_function(env, "preferThread", NAPI_AUTO_LENGTH, phantom::PreferThread, nullptr, &prefer) != napi_ok ||
      napi_set_named_property(env, exports, "createStack", create) != napi_ok ||
      napi_set_named_property(env, exports, "preferThread", prefer) != napi_ok) {
    return nullptr;
  }
  return exports;
}
