/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include "command.h"
#include "emit_utf8.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- figures --------------------------------------------------------------------------------- */

struct emit_text emit_count(double count)
{
    char digits[32];
    struct emit_text result;
    size_t length = (size_t)snprintf(digits, sizeof digits, "%.0f", fabs(count)), at = 0;
    if (count <= -0.5)
        result.text[at++] = '-';
    if (length > 21) { /* no counter gets there; a damaged file may */
        snprintf(result.text, sizeof result.text, "%.3g", count);
        return result;
    }
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            result.text[at++] = ',';
        result.text[at++] = digits[i];
    }
    result.text[at] = '\0';
    return result;
}

struct emit_text emit_size(double bytes)
{
    static const char units[] = "KMGTPE";
    struct emit_text result;
    size_t unit = 0;
    if (fabs(bytes) < 1023.5) {
        snprintf(result.text, sizeof result.text, "%.0f", bytes);
        return result;
    }
    for (bytes /= 1024; fabs(bytes) >= 1023.5 && unit + 2 < sizeof units; unit++)
        bytes /= 1024;
    snprintf(result.text, sizeof result.text, "%.*f%c", fabs(bytes) < 99.95, bytes, units[unit]);
    return result;
}

struct emit_text emit_duration(double ns)
{
    struct emit_text result;
    if (ns < 999.5)
        snprintf(result.text, sizeof result.text, "%.0f ns", ns);
    else if (ns < 999.95e3)
        snprintf(result.text, sizeof result.text, "%.1f us", ns / 1e3);
    else if (ns < 999.95e6)
        snprintf(result.text, sizeof result.text, "%.1f ms", ns / 1e6);
    else if (ns < 119.9995e9)
        snprintf(result.text, sizeof result.text, "%.3f s", ns / 1e9);
    else
        snprintf(result.text, sizeof result.text, "%.0f min %.0f s", floor(ns / 60e9),
                 floor(fmod(ns / 1e9, 60)));
    return result;
}

struct emit_text emit_percent(double share)
{
    struct emit_text result;
    if (share > 0 && share < 0.0005)
        return (struct emit_text){"<0.1 %"};
    snprintf(result.text, sizeof result.text, "%.1f %%", 100 * share);
    return result;
}

/* ---- texts ----------------------------------------------------------------------------------- */

char *emit_printable(const char *text)
{
    return utf8_repaired(text, true);
}

void emit_put(FILE *out, const char *text)
{
    char *printable = emit_printable(text);
    fputs(printable, out);
    free(printable);
}

struct emit_style emit_style(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (!isatty(fileno(out)) || (no_colour && *no_colour) || !terminal || !strcmp(terminal, "dumb"))
        return (struct emit_style){"", "", ""};
    return (struct emit_style){"\033[1m", "\033[2m", "\033[0m"};
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_object *emit_json_text(const char *text)
{
    if (!text)
        return NULL;
    char *repaired = utf8_repaired(text, false);
    json_object *object = json_object_new_string(repaired);
    free(repaired);
    return object;
}

json_object *emit_json_count(uint64_t count)
{
    return json_object_new_uint64(count);
}

/* "12.5", "3": three decimals say all that an estimate can, and whole numbers stay whole. */
static void number_text(double number, struct emit_text *ret)
{
    int length = fabs(number) < 1e15 ? snprintf(ret->text, sizeof ret->text, "%.3f", number)
                                     : snprintf(ret->text, sizeof ret->text, "%.15e", number);
    if (fabs(number) >= 1e15)
        return;
    while (ret->text[length - 1] == '0')
        ret->text[--length] = '\0';
    if (ret->text[length - 1] == '.')
        ret->text[--length] = '\0';
}

json_object *emit_json_number(double number)
{
    struct emit_text text;
    if (!isfinite(number))
        return NULL;
    number_text(number, &text);
    return json_object_new_double_s(number, text.text);
}

json_object *emit_json_share(double share)
{
    struct emit_text text;
    if (!isfinite(share))
        return NULL;
    snprintf(text.text, sizeof text.text, "%.6g", share); /* small ones keep their digits */
    return json_object_new_double_s(share, text.text);
}

void emit_json_print(json_object *object, FILE *out)
{
    const int style =
        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    fputs(json_object_to_json_string_ext(object, style), out);
    fputc('\n', out);
    json_object_put(object);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void next_value(struct emit_csv *csv)
{
    if (csv->started)
        fputc(',', csv->out);
    csv->started = true;
}

void emit_csv_text(struct emit_csv *csv, const char *text)
{
    next_value(csv);
    if (!text)
        return;
    char *repaired = utf8_repaired(text, false);
    bool quoted = repaired[strcspn(repaired, ",\"\r\n")];
    if (quoted)
        fputc('"', csv->out);
    for (const char *at = repaired; *at; at++) {
        if (*at == '"')
            fputc('"', csv->out);
        fputc(*at, csv->out);
    }
    if (quoted)
        fputc('"', csv->out);
    free(repaired);
}

void emit_csv_number(struct emit_csv *csv, double number)
{
    struct emit_text text;
    next_value(csv);
    if (!isfinite(number))
        return;
    number_text(number, &text);
    fputs(text.text, csv->out);
}

void emit_csv_share(struct emit_csv *csv, double share)
{
    next_value(csv);
    if (isfinite(share))
        fprintf(csv->out, "%.6g", share);
}

void emit_csv_count(struct emit_csv *csv, uint64_t count)
{
    next_value(csv);
    fprintf(csv->out, "%" PRIu64, count);
}

void emit_csv_end(struct emit_csv *csv)
{
    fputs("\r\n", csv->out);
    csv->started = false;
}

/* ---- the end --------------------------------------------------------------------------------- */

int emit_finish(FILE *out)
{
    if (fflush(out) == 0 && !ferror(out))
        return EXIT_DONE;
    if (errno == EPIPE)
        return EXIT_BAD_INPUT;
    return bad_input("the output is incomplete: %s; write it where there is room", strerror(errno));
}
