// SPDX-License-Identifier: MIT
// exceptions - C++ that throws through many frames, from several threads, with new and delete on
// the way. Each exception is one malloc of the C++ runtime, which also takes one for emergencies at
// start.
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<unsigned long> news{0}, throws{0}, caught{0};

namespace {

struct Block {
    char *bytes;
    explicit Block(std::size_t size) : bytes(new char[size])
    {
        news++;
    }
    Block(const Block &) = delete;
    Block &operator=(const Block &) = delete;
    ~Block()
    {
        delete[] bytes;
    }
};

__attribute__((noinline)) void descend(unsigned depth)
{
    Block block(100 + depth);
    block.bytes[0] = 1;
    if (depth == 0) {
        throws++;
        throw depth;
    }
    descend(depth - 1);
}

void run()
{
    for (unsigned i = 0; i < 2000; i++) {
        try {
            descend(i % 30);
        } catch (unsigned) {
            caught++;
        }
    }
}

} // namespace

int main()
{
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; i++)
        threads.emplace_back(run);
    for (auto &thread : threads)
        thread.join();
    std::printf("{\"new\":%lu,\"throw\":%lu,\"caught\":%lu}\n", news.load(), throws.load(),
                caught.load());
    return 0;
}
