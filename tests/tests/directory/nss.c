/* A source of the name service that does as /etc/directory/how says: "works", "fails", "omits" (it knows of nobody's
   groups, though its groups list their members), or "hangs N" and "late N", which take N seconds for each question and
   then fail or work. Its accounts are in /etc/directory/passwd, its groups in /etc/directory/group. */

#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether there is an answer. */
static int answers(int *errnop, int *omits)
{
    char how[16] = "fails";
    int seconds = 0;
    FILE *file = fopen("/etc/directory/how", "re");
    if (file) {
        if (fscanf(file, "%15s %d", how, &seconds) < 1)
            strcpy(how, "fails");
        fclose(file);
    }
    sleep(seconds);
    *omits = strcmp(how, "omits") == 0;
    *errnop = ECONNREFUSED;
    return *omits || strcmp(how, "works") == 0 || strcmp(how, "late") == 0;
}

static enum nss_status group(const char *name, gid_t gid, struct group *entry, char *buffer, size_t size, int *errnop)
{
    int omits, error;
    struct group *found = NULL;
    if (!answers(errnop, &omits))
        return NSS_STATUS_UNAVAIL;
    FILE *file = fopen("/etc/directory/group", "re");
    if (!file)
        return NSS_STATUS_UNAVAIL;
    while ((error = fgetgrent_r(file, entry, buffer, size, &found)) == 0)
        if (name ? strcmp(entry->gr_name, name) == 0 : entry->gr_gid == gid)
            break;
    fclose(file);
    *errnop = error;
    if (error == ERANGE)
        return NSS_STATUS_TRYAGAIN;
    return error == 0 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_directory_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, int *errnop)
{
    return group(name, 0, entry, buffer, size, errnop);
}

enum nss_status _nss_directory_getgrgid_r(gid_t gid, struct group *entry, char *buffer, size_t size, int *errnop)
{
    return group(NULL, gid, entry, buffer, size, errnop);
}

enum nss_status _nss_directory_initgroups_dyn(const char *user, gid_t primary, long *count, long *size, gid_t **list,
                                              long limit, int *errnop)
{
    int omits, found = 0;
    struct group entry, *next;
    static char buffer[1 << 20];
    if (!answers(errnop, &omits))
        return NSS_STATUS_UNAVAIL;
    if (omits)
        return NSS_STATUS_NOTFOUND;
    FILE *file = fopen("/etc/directory/group", "re");
    if (!file)
        return NSS_STATUS_UNAVAIL;
    while (fgetgrent_r(file, &entry, buffer, sizeof buffer, &next) == 0)
        for (char **member = entry.gr_mem; *member; member++)
            if (strcmp(*member, user) == 0 && entry.gr_gid != primary) {
                if (*count == *size) {
                    *list = realloc(*list, 2 * *size * sizeof **list);
                    *size *= 2;
                }
                (*list)[(*count)++] = entry.gr_gid;
                found = 1;
            }
    fclose(file);
    return found ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

static enum nss_status account(const char *name, uid_t uid, struct passwd *entry, char *buffer, size_t size, int *errnop)
{
    int omits, error;
    struct passwd *found = NULL;
    if (!answers(errnop, &omits))
        return NSS_STATUS_UNAVAIL;
    FILE *file = fopen("/etc/directory/passwd", "re");
    if (!file)
        return NSS_STATUS_UNAVAIL;
    while ((error = fgetpwent_r(file, entry, buffer, size, &found)) == 0)
        if (name ? strcmp(entry->pw_name, name) == 0 : entry->pw_uid == uid)
            break;
    fclose(file);
    *errnop = error;
    if (error == ERANGE)
        return NSS_STATUS_TRYAGAIN;
    return error == 0 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_directory_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, int *errnop)
{
    return account(name, 0, entry, buffer, size, errnop);
}

enum nss_status _nss_directory_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, int *errnop)
{
    return account(NULL, uid, entry, buffer, size, errnop);
}
