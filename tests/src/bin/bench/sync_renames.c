/*
 * Makes rename(2) durable, for modules that sync a new file, rename it over the old one and leave it at that: after a
 * power cut the old file may be back. Preloaded into the programs of the benchmark.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rename(const char *from, const char *to)
{
    char path[PATH_MAX];
    int folder;

    if (renameat(AT_FDCWD, from, AT_FDCWD, to) != 0)
        return -1;
    /* A login that was not made durable must not be timed as if it were. */
    if (strlen(to) >= sizeof path)
        abort();
    strcpy(path, to);
    folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0)
        abort();
    close(folder);
    return 0;
}
