// Where a blocked event loop is: a thread of ours waits in poll(2) for requests on a descriptor, and has V8 interrupt the
// JavaScript that the environment's own thread runs. There, between two of its instructions, its stack is written to the
// same descriptor. The descriptor stays the caller's, who must not close it: the thread ends when the other side is gone,
// or with the environment. Until the first request all of this is a sleeping thread.
//
// Node-API has no way into a running loop. V8 has (Isolate::RequestInterrupt, "can be called from any thread"), and Node
// exports it with all of V8. The two functions are named by their symbols, so that no header of one version of V8 is
// needed, and weakly, so that the addon loads where they are missing.
#include "poller.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>

extern "C" {
void* CurrentIsolate() __asm__("_ZN2v87Isolate10GetCurrentEv") __attribute__((weak));
// With the isolate as `this`.
void RequestInterrupt(void* isolate, void (*callback)(void* isolate, void* data), void* data) __asm__(
    "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_") __attribute__((weak));
}

namespace roost {
namespace {

constexpr size_t kMaxStackBytes = 16 * 1024;
constexpr int32_t kMaxFrames = 40;
// It calls little, and V8's part of that takes a lock and a queue.
constexpr size_t kThreadStackBytes = 64 * 1024;

// One for each environment that asks, and never freed: V8 may call back once more while the environment is going down.
struct Requests {
  napi_env env;
  void* isolate;
  int channel;
  uv_thread_t thread;
  // One interrupt at a time: those that no JavaScript takes would pile up.
  std::atomic<bool> pending{false};
  std::atomic<bool> over{false};
};

// False, with no exception pending, when `status` is not napi_ok.
bool Done(napi_env env, napi_status status) {
  if (status == napi_ok) return true;
  napi_value exception;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    static_cast<void>(napi_get_and_clear_last_exception(env, &exception));
  }
  return false;
}

// A property that has another value for the time of a call.
class Changed {
 public:
  Changed(napi_env env, napi_value object, const char* name, napi_value value)
      : env_(env), object_(object), name_(name) {
    changed_ = Done(env, napi_get_named_property(env, object, name, &before_)) &&
               Done(env, napi_set_named_property(env, object, name, value));
  }
  ~Changed() {
    if (changed_) static_cast<void>(Done(env_, napi_set_named_property(env_, object_, name_, before_)));
  }
  Changed(const Changed&) = delete;
  Changed& operator=(const Changed&) = delete;

 private:
  napi_env env_;
  napi_value object_;
  const char* name_;
  napi_value before_ = nullptr;
  bool changed_ = false;
};

// Writes the stack that a new Error has, and answers its length in bytes; 0 where it is not a text.
size_t WriteStack(napi_env env, char* text, size_t size) {
  napi_value message, error, stack;
  size_t length = 0;
  bool is_written = Done(env, napi_create_string_utf8(env, "", 0, &message)) &&
                    Done(env, napi_create_error(env, nullptr, message, &error)) &&
                    Done(env, napi_get_named_property(env, error, "stack", &stack)) &&
                    Done(env, napi_get_value_string_utf8(env, stack, text, size, &length));
  return is_written ? length : 0;
}

size_t CurrentStack(napi_env env, char* text, size_t size) {
  napi_value global, constructor, frames, nothing;
  if (!Done(env, napi_get_global(env, &global)) ||
      !Done(env, napi_get_named_property(env, global, "Error", &constructor)) ||
      !Done(env, napi_create_int32(env, kMaxFrames, &frames)) || !Done(env, napi_get_undefined(env, &nothing))) {
    return 0;
  }
  Changed limit(env, constructor, "stackTraceLimit", frames);
  // The app's own way to write stacks, if it has one: it may know the lines of TypeScript. But it may also throw, or
  // answer something else.
  size_t length = WriteStack(env, text, size);
  if (length > 0) return length;
  Changed plain(env, constructor, "prepareStackTrace", nothing);
  return WriteStack(env, text, size);
}

void Answer(Requests& requests) {
  napi_handle_scope scope;
  if (requests.over || !Done(requests.env, napi_open_handle_scope(requests.env, &scope))) return;
  char text[kMaxStackBytes];
  size_t length = CurrentStack(requests.env, text, sizeof text);
  static_cast<void>(Done(requests.env, napi_close_handle_scope(requests.env, scope)));
  if (length == 0) return;
  // Where there is no room for it, nobody waits for it any more.
  static_cast<void>(send(requests.channel, text, length, MSG_NOSIGNAL | MSG_DONTWAIT));
}

// On the environment's thread, between two instructions of its JavaScript.
void Interrupted(void*, void* data) {
  Requests& requests = *static_cast<Requests*>(data);
  Answer(requests);
  // Not before: the app's formatter of stacks is JavaScript as well, and would be interrupted within the interrupt.
  requests.pending = false;
}

void Serve(void* data) {
  Requests& requests = *static_cast<Requests*>(data);
  static_cast<void>(prctl(PR_SET_NAME, "roost-stacks"));
  for (;;) {
    pollfd ready{requests.channel, POLLIN, 0};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) return;
    char request;
    ssize_t received = recv(requests.channel, &request, 1, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (received <= 0 || requests.over) return;
    if (!requests.pending.exchange(true)) RequestInterrupt(requests.isolate, Interrupted, data);
  }
}

void OnTeardown(void* data) {
  Requests& requests = *static_cast<Requests*>(data);
  requests.over = true;
  // Wakes the thread up.
  static_cast<void>(shutdown(requests.channel, SHUT_RDWR));
  static_cast<void>(uv_thread_join(&requests.thread));
}

// The process's signals are for the threads that are there already.
int StartThread(Requests& requests) {
  sigset_t all, before;
  sigfillset(&all);
  // Of the calling thread only, on Linux (sigprocmask(2), "in a multithreaded process").
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return -errno;
  uv_thread_options_t options{};
  options.flags = UV_THREAD_HAS_STACK_SIZE;
  options.stack_size = kThreadStackBytes;
  int result = uv_thread_create_ex(&requests.thread, &options, Serve, &requests);
  static_cast<void>(sigprocmask(SIG_SETMASK, &before, nullptr));
  return result;
}

napi_value AnswerStackRequests(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t channel;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &channel)) return nullptr;
  if (CurrentIsolate == nullptr || RequestInterrupt == nullptr) return Number(env, -ENOSYS);
  Requests* requests = new (std::nothrow) Requests{env, CurrentIsolate(), channel, {}};
  if (requests == nullptr) return Number(env, -ENOMEM);
  int result = StartThread(*requests);
  if (result != 0) {
    delete requests;
    return Number(env, result);
  }
  if (!Ok(env, napi_add_env_cleanup_hook(env, OnTeardown, requests))) {
    OnTeardown(requests);
    return nullptr;
  }
  return Number(env, 0);
}

}  // namespace

bool DefineStacks(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {{"answerStackRequests", AnswerStackRequests}};
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
