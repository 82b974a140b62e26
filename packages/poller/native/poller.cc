// The life of a poller: a backend, a uv_poll_t on the descriptor of its set, and one call into JavaScript a wake-up. All
// on the thread of the environment that created it; there are no globals, so several environments do not meet.
//
// An open poller keeps a reference to itself, like a listening server: it ends by destroy(), or with its
// environment, through an asynchronous cleanup hook, because uv_close calls back only in a later tick. The
// set is ours and is closed there; descriptors of rows are the caller's and stay open. createPoller
// answers the instance; destroy answers nothing and may be repeated; every other method throws POLLER_DESTROYED then.
#include "poller.h"

#include <cerrno>
#include <cstdio>
#include <new>

namespace roost {
namespace {

constexpr int32_t kMinSlabBytes = 4 * 1024;
constexpr int32_t kMaxSlabBytes = 16 * 1024 * 1024;
constexpr int32_t kMaxEntries = 64 * 1024;

void FreeIfDone(Poller* p) {
  if (!p->closed || !p->collected) return;
  p->kept.Free();
  delete[] p->states;
  delete[] p->ready;
  delete p;
}

void OnCollected(napi_env, void* data, void*) {
  Poller* p = static_cast<Poller*>(data);
  p->collected = true;
  FreeIfDone(p);
}

void OnClosed(uv_handle_t* handle) {
  Poller* p = static_cast<Poller*>(handle->data);
  // Lets a teardown that waits for us go on. It fails only for a null handle.
  if (p->teardown != nullptr) static_cast<void>(napi_remove_async_cleanup_hook(p->teardown));
  p->closed = true;
  FreeIfDone(p);
}

void DropReferences(Poller* p) {
  for (napi_ref& reference : p->references) {
    // It fails only for a null argument.
    if (reference != nullptr) static_cast<void>(napi_delete_reference(p->env, reference));
    reference = nullptr;
  }
}

void Stop(Poller* p) {
  if (!p->open) return;
  p->open = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&p->handle), OnClosed);
  // uv_close has taken it out of libuv's own set, so it may be closed without waiting for OnClosed.
  p->backend.Close();
  DropReferences(p);
}

void OnTeardown(napi_async_cleanup_hook_handle, void* data) {
  // When destroy() came before us, its OnClosed is on its way and removes the hook.
  Stop(static_cast<Poller*>(data));
}

// An exception of onEvents becomes an 'uncaughtException', as one of any other callback of the event loop does.
void Report(napi_env env, napi_status status) {
  bool pending = false;
  napi_value exception;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
      // It fails only where JavaScript can no longer run: the environment is ending, with no listener left.
      static_cast<void>(napi_fatal_exception(env, exception));
    }
  } else if (status != napi_pending_exception && status != napi_cannot_run_js) {
    char message[64];
    std::snprintf(message, sizeof message, "onEvents could not be called: napi_status %d", status);
    napi_fatal_error("poller", NAPI_AUTO_LENGTH, message, NAPI_AUTO_LENGTH);
  }
}

void OnReadable(uv_poll_t* handle, int uv_status, int) {
  Poller* p = static_cast<Poller*>(handle->data);
  napi_env env = p->env;
  napi_handle_scope scope;
  napi_status status = napi_open_handle_scope(env, &scope);
  if (status != napi_ok) return Report(env, status);

  if (uv_status < 0) {
    // libuv has stopped watching: without this the poller would be silent for ever.
    ThrowErrno(env, "uv_poll", -uv_status, nullptr);
    Report(env, napi_pending_exception);
  } else {
    CollectEvents(*p);
  }
  if (uv_status >= 0 && p->entries > 0) {
    napi_value instance, on_events, count;
    status = napi_get_reference_value(env, p->instance(), &instance);
    if (status == napi_ok) status = napi_get_reference_value(env, p->on_events(), &on_events);
    if (status == napi_ok) status = napi_create_int32(env, p->entries, &count);
    // Runs microtasks and process.nextTick before it returns. The poller may be destroyed by then, though not freed:
    // that waits for OnClosed.
    int64_t from = NowMicros();
    if (status == napi_ok) status = napi_make_callback(env, nullptr, instance, on_events, 1, &count, nullptr);
    AdjustWake(*p, NowMicros() - from);
    if (status != napi_ok) Report(env, status);
  }
  static_cast<void>(napi_close_handle_scope(env, scope));
}

napi_value Destroy(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  if (arguments.Read(env, info)) Stop(static_cast<Poller*>(arguments.data));
  return nullptr;
}

// Reads the options of createPoller and takes a reference on each array whose memory is kept.
bool ReadOptions(napi_env env, napi_value options, Poller* p) {
  Fields fields;
  if (!fields.Read(env, options, "options")) return false;
  const napi_value arrays[] = {fields.Get("fds"), fields.Get("generations"), fields.Get("flags"), fields.Get("slab"),
                               fields.Get("events"), fields.Get("movedBytes")};
  napi_value row_bytes = fields.Get("rowBytes");
  napi_value sendable_mask = fields.Get("sendableMask");
  napi_value sendable_value = fields.Get("sendableValue");
  napi_value on_events = fields.Get("onEvents");

  Span<int32_t> fds, generations, events;
  Span<uint16_t> flags;
  Span<uint8_t> slab;
  Span<double> moved;
  int32_t mask, value;
  if (!ReadInt32Array(env, arrays[0], "fds", &fds) || !ReadInt32Array(env, arrays[1], "generations", &generations) ||
      !ReadUint16Array(env, arrays[2], "flags", &flags) || !ReadUint8Array(env, arrays[3], "slab", &slab) ||
      !ReadInt32Array(env, arrays[4], "events", &events) || !ReadFloat64Array(env, arrays[5], "movedBytes", &moved)) {
    return false;
  }
  if (fds.length == 0 || fds.length > INT32_MAX || generations.length != fds.length || flags.length != fds.length) {
    ThrowTypeError(env, "fds, generations and flags must have one length of at least 1, got %zu, %zu and %zu",
                   fds.length, generations.length, flags.length);
    return false;
  }
  if (slab.length < kMinSlabBytes || slab.length > kMaxSlabBytes) {
    ThrowTypeError(env, "slabBytes must be from %d to %d, got %zu", kMinSlabBytes, kMaxSlabBytes, slab.length);
    return false;
  }
  if (events.length < 2 * kEventFields || events.length > static_cast<size_t>(kMaxEntries) * kEventFields) {
    ThrowTypeError(env, "maxEvents must be from 2 to %d, got %zu", kMaxEntries, events.length / kEventFields);
    return false;
  }
  if (moved.length != 2) {
    ThrowTypeError(env, "movedBytes must have 2 elements, got %zu", moved.length);
    return false;
  }
  napi_valuetype type;
  if (!Ok(env, napi_typeof(env, on_events, &type))) return false;
  if (type != napi_function) {
    ThrowTypeError(env, "onEvents must be a function");
    return false;
  }
  if (!ReadInteger(env, row_bytes, "rowBytes", 1, static_cast<int32_t>(slab.length), &p->row_bytes) ||
      !ReadInteger(env, sendable_mask, "sendableMask", 0, UINT16_MAX, &mask) ||
      !ReadInteger(env, sendable_value, "sendableValue", 0, UINT16_MAX, &value)) {
    return false;
  }
  p->slot_count = static_cast<int32_t>(fds.length);
  p->fds = fds.data;
  p->generations = generations.data;
  p->flags = flags.data;
  p->slab = slab.data;
  p->slab_bytes = p->wake_bytes = static_cast<int32_t>(slab.length);
  p->events = events.data;
  p->max_entries = static_cast<int32_t>(events.length / kEventFields);
  p->received_bytes = moved.data;
  p->sent_bytes = moved.data + 1;
  p->sendable_mask = static_cast<uint16_t>(mask);
  p->sendable_value = static_cast<uint16_t>(value);
  for (size_t i = 0; i < 6; i++) {
    if (!Ok(env, napi_create_reference(env, arrays[i], 1, &p->references[2 + i]))) return false;
  }
  return Ok(env, napi_create_reference(env, on_events, 1, &p->on_events()));
}

bool Allocate(napi_env env, Poller* p) {
  p->states = new (std::nothrow) RowState[static_cast<size_t>(p->slot_count)]();
  p->ready = new (std::nothrow) Readiness[static_cast<size_t>(p->max_entries)];
  if (p->states != nullptr && p->ready != nullptr && p->kept.Allocate(p->slot_count)) return true;
  ThrowErrno(env, "malloc", ENOMEM, nullptr);
  return false;
}

// A function can outlive the instance that it was taken from, and the Poller must outlive both: `owner` makes the
// instance, whose finalizer frees the Poller, reachable from each of its functions.
bool DefineInstance(napi_env env, Poller* p, napi_value instance) {
  static constexpr Method kMethods[] = {
      {"watch", Watch},
      {"receiveNew", ReceiveNew},
      {"watchNew", WatchNew},
      {"setInterest", SetInterest},
      {"unwatch", Unwatch},
      {"send", Send},
      {"broadcast", Broadcast},
      {"close", Close},
      {"shutdownWrite", ShutdownWrite},
      {"watchDescriptor", WatchDescriptor},
      {"unwatchDescriptor", UnwatchDescriptor},
      {"destroy", Destroy},
  };
  for (const Method& method : kMethods) {
    napi_value function;
    // napi_default: neither writable nor configurable, so that JavaScript cannot break the chain.
    napi_property_descriptor owner{"owner", nullptr, nullptr, nullptr, nullptr, instance, napi_default, nullptr};
    if (!Ok(env, napi_create_function(env, method.name, NAPI_AUTO_LENGTH, method.callback, p, &function)) ||
        !Ok(env, napi_define_properties(env, function, 1, &owner)) ||
        !Ok(env, napi_set_named_property(env, instance, method.name, function))) {
      return false;
    }
  }
  return true;
}

// Opens what must be closed again. On failure nothing is open.
bool Open(napi_env env, Poller* p) {
  uv_loop_s* loop;
  if (!Ok(env, napi_get_uv_event_loop(env, &loop))) return false;
  const char* failed = p->backend.Open(p->max_entries);
  if (failed != nullptr) {
    ThrowErrno(env, failed, errno, nullptr);
    return false;
  }
  int error = uv_poll_init(loop, &p->handle, p->backend.fd());
  if (error < 0) {
    p->backend.Close();
    ThrowErrno(env, "uv_poll_init", -error, nullptr);
    return false;
  }
  p->handle.data = p;
  p->open = true;
  p->closed = false;
  error = uv_poll_start(&p->handle, UV_READABLE, OnReadable);
  if (error < 0) {
    Stop(p);
    ThrowErrno(env, "uv_poll_start", -error, nullptr);
    return false;
  }
  if (!Ok(env, napi_add_async_cleanup_hook(env, OnTeardown, p, &p->teardown))) {
    Stop(p);
    return false;
  }
  return true;
}

}  // namespace

Poller* OpenPoller(napi_env env, void* data) {
  Poller* p = static_cast<Poller*>(data);
  if (p->open) return p;
  static_cast<void>(Ok(env, napi_throw_error(env, "POLLER_DESTROYED", "the poller was used after its destroy()")));
  return nullptr;
}

napi_value CreatePoller(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = new (std::nothrow) Poller{};
  if (p == nullptr) {
    ThrowErrno(env, "malloc", ENOMEM, nullptr);
    return nullptr;
  }
  p->env = env;
  // Until there is a handle to close and an instance to collect.
  p->closed = true;
  p->collected = true;

  napi_value instance;
  if (ReadOptions(env, arguments.values[0], p) && Allocate(env, p) && Ok(env, napi_create_object(env, &instance)) &&
      Ok(env, napi_wrap(env, instance, p, OnCollected, nullptr, nullptr))) {
    p->collected = false;
    if (Ok(env, napi_create_reference(env, instance, 1, &p->instance())) && DefineInstance(env, p, instance) &&
        Open(env, p)) {
      return instance;
    }
  }
  // An exception is pending: the references go now, the memory as soon as nothing can reach it.
  DropReferences(p);
  FreeIfDone(p);
  return nullptr;
}

}  // namespace roost
