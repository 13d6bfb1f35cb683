/* SPDX-License-Identifier: MIT */
#include "view_open.h"

#include <getopt.h>
#include <inttypes.h>

int view_parse_format(const struct command_usage *usage, int argc, char **argv,
                      enum emit_format *ret, int *status)
{
    *ret = EMIT_TEXT;
    for (int option; (option = options_next(usage, argc, argv)) != OPTIONS_END;) {
        if (option == OPTIONS_HELP || option == OPTIONS_BAD) {
            *status = option == OPTIONS_HELP ? EXIT_DONE : EXIT_BAD_INPUT;
            return -1;
        }
        *ret = option == VIEW_JSON ? EMIT_JSON : EMIT_CSV;
    }
    return 0;
}

struct malloctap_recording *view_open(const struct command_usage *usage, int argc, char **argv)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    if (argc - optind != 1) {
        bad_input("%s needs one recording (%s); `malloctap %s --help` says more", usage->command,
                  usage->synopsis, usage->command);
        return NULL;
    }
    if (malloctap_recording_open(argv[optind], &recording, &error) == 0)
        return recording;
    bad_input("%s", error.text);
    return NULL;
}

int view_parse_thread(uint32_t *ret)
{
    uint64_t number;
    if (!parse_count(optarg, &number) || !number || number > UINT32_MAX)
        return bad_input("--thread %s: give a thread's number, as `malloctap threads` lists them",
                         optarg);
    *ret = (uint32_t)number;
    return 0;
}

int view_check_thread(const struct malloctap_recording *recording, uint32_t tid, bool counters)
{
    struct malloctap_thread_slot slot;
    struct malloctap_counters exited;
    for (uint64_t position = 0;
         tid && malloctap_recording_next_thread(recording, &position, &slot);)
        if (slot.tid == tid)
            return 0;
    if (!tid || (!counters && malloctap_recording_exited(recording, &exited) > 0))
        return 0;
    return bad_input("%s: no thread %" PRIu32 " in it%s; `malloctap threads` lists them",
                     malloctap_recording_path(recording), tid,
                     malloctap_recording_exited(recording, &exited) > 0
                         ? ", or it was summed up with others that have ended"
                         : "");
}

void view_warn_unread(const struct malloctap_recording *recording)
{
    struct malloctap_error error;
    if (malloctap_recording_check(recording, &error) < 0)
        say("%s", error.text);
}

void view_warn_damage(const struct aggregate *aggregate)
{
    if (aggregate->damaged)
        say("%" PRIu64 " damaged part%s left out: %s", aggregate->damaged,
            aggregate->damaged == 1 ? "" : "s", aggregate->first_damage.text);
}
