/* A program that runs stacks with this system's libpam, and, with -DMODULE, the module in them.
 *
 * The program reads requests on its standard input:
 *   F PATH LENGTH\n and LENGTH bytes   write a file
 *   C\n                                remove what was written
 *   U USER ANSWER\n                     from now on for this user, who answers every prompt with this; "-": with nothing
 *   R SERVICE CALL...\n                pam_start and these calls; answered with one line: what was called and what it
 *                                      returned, then the result, for each call
 *
 * The module takes pam_debug(8)'s arguments, auth=CODE cred= acct= open_session= close_session= prechauthtok=
 * chauthtok=, also with numbers, and prints its argument n=NAME. With -DHALF it has no function but one. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>

#ifdef MODULE

static const char *names[] = {
    "success", "open_err", "symbol_err", "service_err", "system_err", "buf_err", "perm_denied", "auth_err",
    "cred_insufficient", "authinfo_unavail", "user_unknown", "maxtries", "new_authtok_reqd", "acct_expired",
    "session_err", "cred_unavail", "cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err",
    "authtok_recover_err", "authtok_lock_busy", "authtok_disable_aging", "try_again", "ignore", "abort",
    "authtok_expired", "module_unknown", "bad_item", "conv_again", "incomplete"};

static int value(const char *text)
{
    for (int code = 0; code < 32; code++)
        if (!strcmp(names[code], text))
            return code;
    return atoi(text);
}

static int returned(const char *call, int argc, const char **argv)
{
    const char *name = "?";
    int code = 0;
    size_t length = strlen(call);
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "n=", 2))
            name = argv[i] + 2;
        else if (!strncmp(argv[i], call, length) && argv[i][length] == '=')
            code = value(argv[i] + length + 1);
    }
    printf("%s:%s=%d ", name, call, code);
    return code;
}

#define FUNCTION(function, call)                                         \
    int function(pam_handle_t *handle, int flags, int argc, const char **argv) \
    {                                                                    \
        (void)handle;                                                    \
        (void)flags;                                                     \
        return returned(call, argc, argv);                               \
    }

FUNCTION(pam_sm_authenticate, "auth")
#ifndef HALF
FUNCTION(pam_sm_setcred, "cred")
FUNCTION(pam_sm_acct_mgmt, "acct")
FUNCTION(pam_sm_open_session, "open_session")
FUNCTION(pam_sm_close_session, "close_session")
int pam_sm_chauthtok(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    (void)handle;
    return returned(flags & PAM_PRELIM_CHECK ? "prechauthtok" : "chauthtok", argc, argv);
}
#endif

#else

static char user[64] = "root", answer[64];

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    (void)messages;
    (void)data;
    if (!*answer)
        return PAM_CONV_ERR;
    *responses = calloc(count, sizeof **responses);
    for (int i = 0; i < count; i++)
        (*responses)[i].resp = strdup(strcmp(answer, "-") ? answer : "");
    return PAM_SUCCESS;
}

/* Nobody waits after a failure. */
static void no_delay(int code, unsigned int delay, void *data)
{
    (void)code;
    (void)delay;
    (void)data;
}

static int call(pam_handle_t *handle, const char *name)
{
    if (!strcmp(name, "auth"))
        return pam_authenticate(handle, 0);
    if (!strcmp(name, "cred"))
        return pam_setcred(handle, PAM_ESTABLISH_CRED);
    if (!strcmp(name, "acct"))
        return pam_acct_mgmt(handle, 0);
    if (!strcmp(name, "open_session"))
        return pam_open_session(handle, 0);
    if (!strcmp(name, "close_session"))
        return pam_close_session(handle, 0);
    if (!strcmp(name, "chauthtok"))
        return pam_chauthtok(handle, 0);
    exit(3);
}

static void run(void)
{
    struct pam_conv conversation = {converse, 0};
    pam_handle_t *handle = 0;
    const char *service = strtok(0, " \n"), *name;
    int code = pam_start(service, user, &conversation, &handle);
    union { void (*function)(int, unsigned int, void *); const void *item; } delay = {no_delay};
    if (code == PAM_SUCCESS)
        pam_set_item(handle, PAM_FAIL_DELAY, delay.item);
    if (code != PAM_SUCCESS)
        printf("start %d", code);
    else
        /* After PAM_INCOMPLETE, only the same call makes sense. */
        while (code != PAM_INCOMPLETE && (name = strtok(0, " \n"))) {
            code = call(handle, name);
            printf("-> %d | ", code);
        }
    if (handle)
        pam_end(handle, code);
    printf("\n");
    fflush(stdout);
}

/* In a process of its own: libpam may not survive a stack. */
static void run_apart(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        run();
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        exit(6);
    if (WIFSIGNALED(status)) {
        printf("signal %d\n", WTERMSIG(status));
        fflush(stdout);
    }
}

static char written[64][256];
static int count;

static void write_file(void)
{
    const char *path = strtok(0, " \n");
    size_t length = strtoul(strtok(0, " \n"), 0, 10);
    char *bytes = malloc(length + 1);
    FILE *file = fopen(path, "w");
    if (!file || count == 64 || fread(bytes, 1, length, stdin) != length || fwrite(bytes, 1, length, file) != length) {
        perror(path);
        exit(4);
    }
    fclose(file);
    free(bytes);
    snprintf(written[count++], sizeof written[0], "%s", path);
}

int main(int argc, char **argv)
{
    char line[4096];
    /* Loaded once and for all, so that libpam does not load them for each stack. */
    for (int i = 1; i < argc; i++)
        if (!dlopen(argv[i], RTLD_NOW)) {
            fprintf(stderr, "%s\n", dlerror());
            return 5;
        }
    while (fgets(line, sizeof line, stdin)) {
        const char *request = strtok(line, " \n");
        if (!strcmp(request, "F"))
            write_file();
        else if (!strcmp(request, "U")) {
            snprintf(user, sizeof user, "%s", strtok(0, " \n"));
            snprintf(answer, sizeof answer, "%s", strtok(0, " \n"));
        } else if (!strcmp(request, "R"))
            run_apart();
        else
            while (count)
                unlink(written[--count]);
    }
    return 0;
}

#endif
