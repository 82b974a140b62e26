// The operators new and delete of a prebuilt binary, by malloc(3), so that it needs libc and Node and no C++ library:
// the one that it was compiled with may be newer than a machine's, and there is none for musl among Debian's packages.
// They are the binary's own: exports.map keeps every other name in it. prebuild.mjs fails when the addon needs more of C++.
#include <cstdlib>
#include <new>

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
