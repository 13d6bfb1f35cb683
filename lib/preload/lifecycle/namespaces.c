/* SPDX-License-Identifier: MIT */
#include "namespaces.h"

#include <backend/loader.h>
#include <config/config.h>
#include <sys.h>

static struct {
    bool known;
    uint64_t device, inode;
} standard_error;

static bool identify(uint64_t *device, uint64_t *inode)
{
    struct stat status;
    if (syscall(SYS_newfstatat, STDERR_FILENO, "", &status, AT_EMPTY_PATH) != 0)
        return false;
    *device = status.st_dev;
    *inode = status.st_ino;
    return true;
}

void namespaces_begin(void)
{
    standard_error.known = identify(&standard_error.device, &standard_error.inode);
}

void namespaces_tell(void)
{
    uint64_t device, inode;
    if (standard_error.known && loader_other_namespaces() && identify(&device, &inode) &&
        device == standard_error.device && inode == standard_error.inode)
        config_say("libraries were loaded into a namespace of their own (dlmopen, LD_AUDIT): what "
                   "they allocate is not seen",
                   NULL);
}
