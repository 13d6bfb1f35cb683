// SPDX-License-Identifier: MIT
// operators - every form of operator new and delete, a known number of times each, and one new that
// cannot be had. Prints what it called.
#include <cstdio>
#include <new>

struct alignas(64) Line {
    char bytes[64];
};

enum { ROUNDS = 10000 };

template <typename Made> static void once(bool nothrow)
{
    Made *volatile one = nothrow ? new (std::nothrow) Made : new Made;
    Made *volatile many = nothrow ? new (std::nothrow) Made[3] : new Made[3];
    delete one;
    delete[] many;
}

int main()
{
    for (int i = 0; i < ROUNDS; i++) {
        once<long>(false);
        once<long>(true);
        once<Line>(false);
        once<Line>(true);
    }
    bool caught = false;
    try {
        char *volatile impossible = new char[static_cast<std::size_t>(1) << 60];
        delete[] impossible;
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    std::printf("{\"plain\":%d,\"aligned\":%d,\"free\":%d,\"caught\":%s}\n", 4 * ROUNDS, 4 * ROUNDS,
                8 * ROUNDS, caught ? "true" : "false");
    return 0;
}
