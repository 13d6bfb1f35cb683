/* SPDX-License-Identifier: MIT */
/*
 * leaky FILE [exit|_exit|kill|fork] - leaks with a known truth, written to FILE: a JSON object a
 * line, {"function","then","now","new"}, each {"blocks","bytes"}, for every function that
 * allocates: what of it was live at the moment in the middle, what is live at the end, and what of
 * that was allocated after the moment. The moment is marked by the one block of the function
 * `moment`.
 *
 * Blocks are allocated in one thread and freed or resized in others, addresses are obtained again
 * and again, calls fail.
 */
#include "leaky.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

/* ---- the books: what is live, by address ----------------------------------------------------- */

namespace {

struct Book {
    const char *function;
    void *block;
    size_t bytes;
    bool late; /* allocated after the moment */
};

struct Count {
    size_t blocks, bytes;
};

struct Row {
    const char *function;
    Count then, now, fresh;
};

enum { BOOKS = 20000, ROWS = 16, THREADS = 4 };

Book books[BOOKS];
Row rows[ROWS];
size_t row_count;
bool after_the_moment;
std::mutex lock;

void *born(const char *function, void *block, size_t bytes)
{
    std::lock_guard<std::mutex> guard(lock);
    for (Book &book : books)
        if (!book.block) {
            book = Book{function, block, bytes, after_the_moment};
            return block;
        }
    abort();
}

void died(void *block)
{
    std::lock_guard<std::mutex> guard(lock);
    for (Book &book : books)
        if (book.block == block) {
            book.block = nullptr;
            return;
        }
    abort();
}

Row *row_of(const char *function)
{
    for (size_t i = 0; i < row_count; i++)
        if (!strcmp(rows[i].function, function))
            return &rows[i];
    rows[row_count] = Row{function, {}, {}, {}};
    return &rows[row_count++];
}

void add(Count *count, const Book &book)
{
    count->blocks++;
    count->bytes += book.bytes;
}

/* Sum up what is live, at the moment or at the end. */
void take_stock(bool end)
{
    for (const Book &book : books) {
        if (!book.block)
            continue;
        Row *row = row_of(book.function);
        add(end ? &row->now : &row->then, book);
        if (end && book.late)
            add(&row->fresh, book);
    }
}

/* No stdio: nothing of this may allocate. */
void write_truth(int file)
{
    take_stock(true);
    for (size_t i = 0; i < row_count; i++) {
        const Row &row = rows[i];
        char line[512];
        int length = snprintf(
            line, sizeof line,
            "{\"function\":\"%s\",\"then\":{\"blocks\":%zu,\"bytes\":%zu},"
            "\"now\":{\"blocks\":%zu,\"bytes\":%zu},\"new\":{\"blocks\":%zu,\"bytes\":%zu}}\n",
            row.function, row.then.blocks, row.then.bytes, row.now.blocks, row.now.bytes,
            row.fresh.blocks, row.fresh.bytes);
        if (write(file, line, (size_t)length) != length)
            abort();
    }
    close(file);
}

} // namespace

/* ---- leaks ----------------------------------------------------------------------------------- */

static const char entry_name[] = "cache::Cache::remember";
static const char data_name[] = "make<char>";

static cache::Entry *remember(cache::Cache *cache, size_t size)
{
    cache::Entry *entry = cache->remember(size);
    born(entry_name, entry, sizeof *entry);
    born(data_name, entry->data, size);
    return entry;
}

static void forget(cache::Cache *cache, cache::Entry *entry)
{
    died(entry->data);
    died(entry);
    cache->forget(entry);
}

/* A text that grows in steps; what it was before each is gone. */
static void *grow(void *text, size_t size)
{
    if (text)
        died(text);
    return born("text_grow", text_grow(text, size), size);
}

static void release(void *text)
{
    died(text);
    text_release(text);
}

/* Handed from thread to thread: what one allocates, the next frees or resizes, the last keeps. */
static void *relayed[THREADS + 1][64];

static void relay(int runner)
{
    for (int i = 0; i < 64; i++) {
        size_t size = (size_t)(16 + 8 * i + runner);
        void *taken = relayed[runner][i];
        if (taken && i % 3 == 0) {
            release(taken);
            taken = nullptr;
        }
        relayed[runner + 1][i] = grow(taken, size);
    }
}

static void run_relay()
{
    for (int runner = 0; runner < THREADS; runner++)
        std::thread(relay, runner).join();
    for (int i = 0; i < 64; i += 2)
        release(relayed[THREADS][i]);
    memset(relayed, 0, sizeof relayed);
}

/* All at once: addresses that one thread frees, another obtains. */
static void churn(int seed)
{
    cache::Cache cache;
    cache::Entry *held[16] = {};
    unsigned state = (unsigned)seed * 2654435761u + 1;
    for (int i = 0; i < 1000; i++) {
        state = state * 1664525u + 1013904223u;
        cache::Entry *&place = held[state >> 28];
        if (place)
            forget(&cache, place);
        place = remember(&cache, 1 + (state >> 8) % 300);
    }
}

static void run_churn()
{
    std::thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = std::thread(churn, i);
    for (std::thread &thread : threads)
        thread.join();
}

static void plant(int round)
{
    for (int i = 0; i < 10 * round; i++)
        born("text_zeroed", text_zeroed(3, 100), 300);
    for (int i = 0; i < 5 * round; i++)
        born("text_aligned", text_aligned(64, 128), 128);
    for (int i = 0; i < 7; i++)
        born("text_copy", text_copy("a text of 22 bytes..."), 22);
    void *kept = grow(nullptr, 10);
    if (text_grow(kept, SIZE_MAX / 2) || text_zeroed(SIZE_MAX / 2, 4)) /* `kept` lives on */
        abort();
    void *ended = grow(nullptr, 11);
    died(ended);
    if (text_grow(ended, 0)) /* frees */
        abort();
    run_relay();
    run_churn();
}

NOINLINE void moment()
{
    void *mark = malloc(12345);
    born("moment", mark, 12345);
    take_stock(false);
    after_the_moment = true;
}

static void fork_a_child()
{
    pid_t child = fork();
    if (child == 0) {
        text_zeroed(1, 99999);
        _exit(0);
    }
    waitpid(child, nullptr, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    const char *ending = argc > 2 ? argv[2] : "exit";
    born(data_name, const_cast<void *>(cache::kept_line()), 72);
    int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    plant(1);
    moment();
    if (!strcmp(ending, "fork"))
        fork_a_child();
    plant(2);
    write_truth(file);
    if (!strcmp(ending, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(ending, "_exit"))
        _exit(0);
    return 0;
}
