// What the addon exports; see src/native.ts for the types. Runs once for each environment that loads it (the main
// thread, every worker thread) and keeps nothing.
#include "poller.h"

NAPI_MODULE_INIT() {
  static constexpr roost::Method kMethods[] = {{"createPoller", roost::CreatePoller}};
  if (!roost::DefineMethods(env, exports, kMethods) || !roost::DefineSockets(env, exports) ||
      !roost::DefineDescriptors(env, exports) || !roost::DefineProcess(env, exports) ||
      !roost::DefineHandshake(env, exports) || !roost::DefineStacks(env, exports) ||
      !roost::DefineTcpInfo(env, exports) || !roost::DefineSealedFile(env, exports)) {
    return nullptr;
  }
  return exports;
}
