// SPDX-License-Identifier: MIT
// new_handler - operator new that fails, with a handler that gives up at the third call, or that ends
// the matter by an exception of its own; then calls that are counted. Prints what happened.
#include <cstdio>
#include <new>

enum { ROUNDS = 1000 };

static int handled;

static void give_up()
{
    if (++handled % 3 == 0)
        throw std::bad_alloc();
}

static void object()
{
    handled++;
    throw 42;
}

static volatile std::size_t too_large = static_cast<std::size_t>(1) << 60;

static const char *caught_from_new()
{
    try {
        char *volatile impossible = new char[too_large];
        delete[] impossible;
        return "nothing";
    } catch (const std::bad_alloc &) {
        return "bad_alloc";
    } catch (int) {
        return "its own";
    }
}

int main()
{
    std::set_new_handler(give_up);
    const char *first = caught_from_new();
    int calls = handled;
    std::set_new_handler(object);
    const char *second = caught_from_new();
    std::set_new_handler(nullptr);
    for (int i = 0; i < ROUNDS; i++) {
        long *volatile one = new long;
        delete one;
    }
    std::printf("%d %s %d %s\n", calls, first, handled - calls, second);
    return 0;
}
