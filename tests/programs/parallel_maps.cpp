// SPDX-License-Identifier: MIT
/*
 * parallel_maps - a C++ program that uses its processors: THREADS threads count the words of texts
 * of their own in ordered maps, and hand them over to be merged. Prints one line, the same whatever
 * allocator it runs under.
 *
 *   parallel_maps [THREADS [WORDS]]
 */
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

using Counts = std::map<std::string, std::vector<uint32_t>>;

/* Where each word was found in the text of this thread. */
static Counts count_words(uint32_t thread, uint32_t words)
{
    static const char *const syllables[] = {"ka", "lo", "mi", "ren", "sto", "vi", "quor", "an"};
    uint64_t random = thread + 1;
    Counts counts;
    for (uint32_t place = 0; place < words; place++) {
        std::string word;
        random = random * 6364136223846793005u + 1442695040888963407u;
        for (uint32_t i = 0; i < 2 + (random >> 62); i++)
            word += syllables[random >> (33 + 3 * i) & 7];
        counts[word].push_back(place);
    }
    return counts;
}

/* The blocks of the other threads are given back by this one. */
static void merge(Counts &to, Counts from)
{
    for (auto &[word, places] : from)
        to[word].insert(to[word].end(), places.begin(), places.end());
}

int main(int argc, char **argv)
{
    const uint32_t threads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 4;
    const uint32_t words = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100000;
    std::vector<Counts> parts(threads);
    std::vector<std::thread> workers;
    for (uint32_t i = 0; i < threads; i++)
        workers.emplace_back([&, i] { parts[i] = count_words(i, words); });
    for (auto &worker : workers)
        worker.join();
    Counts all;
    for (auto &part : parts)
        merge(all, std::move(part));
    uint64_t places = 0;
    for (const auto &[word, found] : all)
        places += found.size();
    std::cout << all.size() << " words at " << places << " places\n";
}
