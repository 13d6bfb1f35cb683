/* SPDX-License-Identifier: MIT */
/* When a service counts as ready. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <ready.h>

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char message[512];
static struct ready_watch watch;

static bool seen(const char *text)
{
    return ready_in_output(&watch, text, strlen(text));
}

static void by_a_line(void **state)
{
    struct ready ready;
    assert_int_equal(ready_output_init(&ready, "^ready (on|at) [0-9]+", message, sizeof message),
                     0);
    assert_int_equal(ready_watch_init(&watch, &ready), 0);
    assert_false(seen("not ready on 1\nre"));
    assert_false(seen("ady o"));
    assert_true(seen("n 8080"));
    assert_true(seen(" and more\nready at 5\nlast\n"));
    ready_watch_deinit(&watch);
    ready_deinit(&ready);
    assert_int_equal(ready_output_init(&ready, "(", message, sizeof message), -1);
    assert_non_null(strstr(message, "regular expression"));
}

static void by_a_line_among_anything(void **state)
{
    struct ready ready;
    char noise[10000];
    memset(noise, 'x', sizeof noise);
    noise[5000] = '\0';
    assert_int_equal(ready_output_init(&ready, "now", message, sizeof message), 0);
    assert_int_equal(ready_watch_init(&watch, &ready), 0);
    assert_false(ready_in_output(&watch, noise, sizeof noise));
    assert_true(ready_in_output(&watch, "\0now", 4));
    ready_watch_deinit(&watch);
    ready_deinit(&ready);
}

static void by_a_port(void **state)
{
    struct ready ready;
    char port[8];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    assert_int_equal(ready_port_init(&ready, port, message, sizeof message), 0);
    assert_int_equal(ready_watch_init(&watch, &ready), 0);
    assert_false(ready_now(&watch));
    assert_int_equal(listen(listener, 4), 0);
    assert_true(ready_now(&watch));
    assert_int_equal(ready_port_init(&ready, port, message, sizeof message), -1);
    assert_non_null(strstr(message, "already"));
    close(listener);
    static const char *const bad[] = {"", "0", "65536", "http", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ready_port_init(&ready, bad[i], message, sizeof message), -1);
}

static void by_a_file(void **state)
{
    struct ready ready;
    const char *path = folder_path("pid");
    assert_int_equal(ready_file_init(&ready, path, message, sizeof message), 0);
    assert_int_equal(ready_watch_init(&watch, &ready), 0);
    struct pollfd event = {watch.inotify, POLLIN, 0};
    folder_write("another", "", 0600);
    assert_int_equal(poll(&event, 1, 1000), 1);
    assert_false(ready_now(&watch));
    assert_int_equal(poll(&event, 1, 0), 0); /* what was seen is gone */
    folder_write("pid", "", 0600);
    assert_int_equal(poll(&event, 1, 1000), 1);
    assert_true(ready_now(&watch));
    ready_watch_deinit(&watch);
    assert_int_equal(ready_file_init(&ready, path, message, sizeof message), -1);
    assert_non_null(strstr(message, "exists already"));
    assert_int_equal(ready_file_init(&ready, folder_path("none/pid"), message, sizeof message), -1);
}

static void looks_become_rarer(void **state)
{
    assert_int_equal(ready_next_look_ns(0), 1000000);
    assert_int_equal(ready_next_look_ns(1000000000), 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_line),          cmocka_unit_test(by_a_line_among_anything),
        cmocka_unit_test(by_a_port),          cmocka_unit_test(by_a_file),
        cmocka_unit_test(looks_become_rarer),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
