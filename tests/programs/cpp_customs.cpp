// SPDX-License-Identifier: MIT
// cpp_customs - what C++ programs do around new: handlers, resources, objects that live in threads
// and beyond main. Prints what came of it, which must be the same with a tap in front.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

static int handled;

static void new_handler()
{
    if (++handled == 3)
        throw std::bad_alloc();
}

static void out_of_memory()
{
    std::set_new_handler(new_handler);
    bool caught = false;
    try {
        std::vector<char> impossible(static_cast<std::size_t>(1) << 60);
        std::printf("%zu\n", impossible.size());
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    std::set_new_handler(nullptr);
    void *volatile none = operator new(static_cast<std::size_t>(1) << 60, std::nothrow);
    std::printf("handled %d times, caught %d, nothrow %d\n", handled, caught, none == nullptr);
}

struct Life {
    std::string text = std::string(1000, 'x');
    ~Life()
    {
        std::vector<int> last(1000, 1);
        std::printf("a life of %zu ends with %zu\n", text.size(), last.size());
    }
};

static Life of_the_program;
static thread_local Life of_the_thread;

static void threads()
{
    for (int i = 0; i < 3; i++)
        std::thread([] { of_the_thread.text += "y"; }).join();
}

static void resources()
{
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::map<int, std::pmr::string> texts(&pool);
    for (int i = 0; i < 1000; i++)
        texts.emplace(i, std::pmr::string(static_cast<std::size_t>(i % 100), 'p', &pool));
    std::pmr::monotonic_buffer_resource monotonic;
    std::pmr::vector<int> numbers(10000, 1, &monotonic);
    std::printf("%zu texts, %zu numbers\n", texts.size(), numbers.size());
}

struct alignas(256) Wide {
    char bytes[256];
};

static void aligned()
{
    std::vector<std::unique_ptr<Wide>> all;
    bool good = true;
    for (int i = 0; i < 100; i++) {
        all.push_back(std::make_unique<Wide>());
        good = good && reinterpret_cast<std::size_t>(all.back().get()) % 256 == 0;
    }
    std::printf("aligned %d\n", good);
}

int main()
{
    out_of_memory();
    threads();
    resources();
    aligned();
    return 0;
}
