/* SPDX-License-Identifier: MIT */
#include "program_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { INTERPRETERS_MAX = 5, SCRIPT_LINE_MAX = 256 };

/* Where a refusal goes. */
struct refusal {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct refusal *refusal,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->text, refusal->size, format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- finding it ----------------------------------------------------------------------------- */

static bool startable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* In PATH. False: there is none to start; ret then holds one that is there all the same, or "". */
static bool path_search(const char *name, char *ret, size_t size)
{
    char blocked[PATH_MAX] = "";
    const char *list = getenv("PATH");
    if (!list)
        list = "/bin:/usr/bin"; /* as execvp() */
    for (bool more = true; more;) {
        size_t length = strcspn(list, ":");
        snprintf(ret, size, "%.*s%s%s", (int)length, list, length ? "/" : "./", name);
        if (startable(ret))
            return true;
        struct stat status;
        if (!*blocked && stat(ret, &status) == 0 && S_ISREG(status.st_mode))
            snprintf(blocked, sizeof blocked, "%s", ret);
        more = list[length] != '\0';
        list += length + more;
    }
    snprintf(ret, size, "%s", blocked);
    return false;
}

static int program_find(const char *name, char *ret, size_t size, const struct refusal *refusal)
{
    if (strchr(name, '/')) {
        snprintf(ret, size, "%s", name);
    } else if (!path_search(name, ret, size)) {
        struct stat status;
        if (*ret)
            return 0; /* the next check says what is wrong with it */
        if (stat(name, &status) == 0 && S_ISREG(status.st_mode))
            return refuse(refusal, "%s: not found in PATH, but it is in this directory: write ./%s",
                          name, name);
        return refuse(refusal, "%s: not found in PATH; give its path, or correct the name", name);
    }
    return 0;
}

static int file_check(const char *path, const struct refusal *refusal)
{
    struct stat status;
    if (stat(path, &status))
        return refuse(refusal, "%s: %s; give the path of a program", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return refuse(refusal, "%s: is a directory; give the path of a program in it", path);
    if (!S_ISREG(status.st_mode))
        return refuse(refusal, "%s: is not a regular file; give the path of a program", path);
    if (access(path, X_OK))
        return refuse(refusal, "%s: may not be executed; chmod +x it, or run its interpreter",
                      path);
    return 0;
}

/* ---- scripts -------------------------------------------------------------------------------- */

/* The words of the #! line: interpreter and at most one argument. False: no script. */
static bool script_line(const char *path, char *line, char **interpreter, char **argument)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    ssize_t got = read(file, line, SCRIPT_LINE_MAX - 1);
    close(file);
    if (got < 2 || line[0] != '#' || line[1] != '!')
        return false;
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
    *interpreter = line + 2 + strspn(line + 2, " \t");
    char *rest = *interpreter + strcspn(*interpreter, " \t");
    if (*rest) {
        *rest++ = '\0';
        rest += strspn(rest, " \t");
    }
    for (size_t end = strlen(rest); end && strchr(" \t\r", rest[end - 1]); end--)
        rest[end - 1] = '\0';
    *argument = rest;
    return **interpreter != '\0';
}

static bool is_env(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "env") == 0;
}

/* From a script to the ELF file that runs it; `#!/usr/bin/env NAME` leads to NAME. */
static int interpreter_follow(struct program *program, const struct refusal *refusal)
{
    char line[SCRIPT_LINE_MAX], *interpreter, *argument;
    for (int i = 0; i < INTERPRETERS_MAX; i++) {
        if (!script_line(program->binary, line, &interpreter, &argument))
            return 0;
        struct stat status;
        if (stat(interpreter, &status))
            return refuse(refusal, "%s: its interpreter %s: %s; correct its first line",
                          program->binary, interpreter, strerror(errno));
        if (file_check(interpreter, refusal))
            return -1;
        bool through_env =
            is_env(interpreter) && *argument && *argument != '-' && !strpbrk(argument, "= \t");
        if (!through_env)
            snprintf(program->binary, sizeof program->binary, "%s", interpreter);
        else if (!path_search(argument, program->binary, sizeof program->binary))
            return refuse(refusal, "%s: its interpreter %s is not in PATH; install it",
                          program->path, argument);
    }
    return refuse(refusal, "%s: its interpreters are scripts, more than %d deep; run the last one",
                  program->path, INTERPRETERS_MAX);
}

/* ---- the ELF file --------------------------------------------------------------------------- */

/* Set-user-ID, set-group-ID and file capabilities do nothing there. */
static bool privilege_ignored(const char *path)
{
    struct statvfs filesystem;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
           (statvfs(path, &filesystem) == 0 && filesystem.f_flag & ST_NOSUID);
}

/* The loader ignores LD_PRELOAD where starting a program changes what it is allowed to do. */
static int privilege_check(const char *path, const struct refusal *refusal)
{
    struct stat status;
    if (stat(path, &status) || privilege_ignored(path))
        return 0;
    const char *kind = NULL;
    if (status.st_mode & S_ISUID && status.st_uid != getuid())
        kind = "set-user-ID";
    else if (status.st_mode & S_ISGID && status.st_mode & S_IXGRP && status.st_gid != getgid())
        kind = "set-group-ID";
    else if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        kind = "given capabilities";
    if (kind)
        return refuse(
            refusal,
            "%s: is %s, so the loader would ignore the tap; run a copy without (cp %s .), "
            "as the user it runs as",
            path, kind, path);
    return 0;
}

static int binary_check(const char *path, const struct elf_facts *facts,
                        const struct refusal *refusal)
{
    if (!facts->readable)
        return 0; /* may be executed but not read: the handshake will tell */
    if (!facts->elf)
        return refuse(refusal,
                      "%s: neither an ELF program nor a script with a #! line; start it "
                      "through its interpreter, as in: sh %s",
                      path, path);
    if (!facts->native)
        return refuse(refusal,
                      "%s: made for another machine or word size than malloctap; use a "
                      "malloctap built for it",
                      path);
    if (!facts->executable)
        return refuse(refusal, "%s: is an object or core file; give a linked program", path);
    if (!facts->interpreted && facts->go)
        return refuse(refusal,
                      "%s: is a static Go program, which has an allocator of its own and "
                      "no loader to bring the tap in; use Go's pprof",
                      path);
    if (!facts->interpreted)
        return refuse(refusal,
                      "%s: is statically linked, so nothing can be put in front of its "
                      "malloc; link it dynamically (without -static)",
                      path);
    if (strstr(facts->interpreter, "ld-musl"))
        return refuse(refusal,
                      "%s: is linked with musl, and this malloctap with glibc; use one "
                      "built against musl",
                      path);
    if (*facts->sanitizer)
        return refuse(refusal,
                      "%s: is built with %s, which has a malloc of its own and must come "
                      "first; build it without -fsanitize",
                      path, facts->sanitizer);
    return 0;
}

static const char *warning(const struct elf_facts *facts)
{
    if (!facts->readable)
        return "may be executed but not read: what stays unseen of it will show when it runs";
    if (facts->go)
        return "a Go program: only what its C parts allocate goes through malloc";
    if (facts->defines_malloc)
        return "has a malloc of its own inside: calls that it makes itself stay unseen, and the "
               "backend does not serve them";
    if (facts->inner_allocator)
        return "has an allocator inside that goes by other names than malloc: calls of these stay "
               "unseen, and the backend does not serve them";
    return NULL;
}

int program_check(const char *name, struct program *ret, char *message, size_t size)
{
    const struct refusal refusal = {message, size};
    *ret = (struct program){0};
    if (!*name)
        return refuse(&refusal, "the program's name is empty; give the path of a program");
    if (program_find(name, ret->path, sizeof ret->path, &refusal) ||
        file_check(ret->path, &refusal))
        return -1;
    snprintf(ret->binary, sizeof ret->binary, "%s", ret->path);
    if (interpreter_follow(ret, &refusal))
        return -1;
    elf_facts_read(ret->binary, &ret->facts);
    if (binary_check(ret->binary, &ret->facts, &refusal) || privilege_check(ret->binary, &refusal))
        return -1;
    ret->warning = warning(&ret->facts);
    return 0;
}
