/*
 * A program that logs somebody in, and reaches the account phase in a way of its own:
 *
 *   login same USER HOST COMMAND   runs COMMAND between the two phases
 *   login fork USER HOST           has the account phase in a process of its own
 *   login two USER HOST HOST       authenticates a login from each host, and only the first reaches the account phase
 */
#include <security/pam_appl.h>
#include <security/pam_misc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pam_handle_t *authenticated(const char *user, const char *host)
{
	static struct pam_conv conversation = { misc_conv, NULL };
	pam_handle_t *pam = NULL;
	if (pam_start("remote-app", user, &conversation, &pam) != PAM_SUCCESS ||
	    pam_set_item(pam, PAM_RHOST, host) != PAM_SUCCESS ||
	    pam_authenticate(pam, 0) != PAM_SUCCESS) {
		puts("result: not authenticated");
		exit(1);
	}
	return pam;
}

static int account(pam_handle_t *pam)
{
	int code = pam_acct_mgmt(pam, 0);
	printf("result: %s\n", code == PAM_SUCCESS ? "in" : "out");
	fflush(stdout);
	return code != PAM_SUCCESS;
}

int main(int count, char **words)
{
	if (count < 4)
		return 2;
	const char *mode = words[1], *last = count > 4 ? words[4] : "true";
	pam_handle_t *pam = authenticated(words[2], words[3]);
	if (!strcmp(mode, "two"))
		authenticated(words[2], last);
	else if (!strcmp(mode, "same") && system(last))
		return 2;
	else if (!strcmp(mode, "fork")) {
		int status = 0;
		pid_t child = fork();
		if (child == 0)
			_exit(account(pam));
		return waitpid(child, &status, 0) != child || status != 0;
	}
	return account(pam);
}
