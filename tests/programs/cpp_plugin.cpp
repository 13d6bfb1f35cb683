// SPDX-License-Identifier: MIT
// cpp_plugin - a library in C++ with the C++ library inside, as vendors ship them: when memory runs
// out, it must get its exception.
#include <cstddef>
#include <new>

extern "C" void *plugin_make(std::size_t size);
extern "C" void plugin_drop(void *block);

extern "C" void *plugin_make(std::size_t size)
{
    try {
        return operator new(size);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

extern "C" void plugin_drop(void *block)
{
    operator delete(block);
}
