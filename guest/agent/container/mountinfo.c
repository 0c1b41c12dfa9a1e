/* SPDX-License-Identifier: Apache-2.0 */
/* mountinfo: fields of proc(5): id parent dev root point options tags - type source super. */
#include "guest/agent/container/mountinfo.h"

#include <fcntl.h>
#include <string.h>

#include "lib/base/fs.h"

#define MOUNTINFO_MAX (16u << 20)

int mountinfo_open(struct mountinfo *m, struct error *err)
{
	int r;

	memset(m, 0, sizeof(*m));
	r = fs_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &m->text, err);
	if (r < 0) {
		mountinfo_close(m);
		return r;
	}
	m->next = (char *)m->text.data;
	return 0;
}

void mountinfo_close(struct mountinfo *m)
{
	buffer_free(&m->text);
	m->next = NULL;
}

/* "\040" and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

bool mountinfo_next(struct mountinfo *m, struct mountinfo_entry *e)
{
	char *line, *word, *save = NULL;
	int n = 0;

	if (!m->next || !*m->next)
		return false;
	line = strsep(&m->next, "\n");
	memset(e, 0, sizeof(*e));
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save), n++) {
		if (n == 3) {
			unescape(word);
			e->root = word;
		} else if (n == 4) {
			unescape(word);
			e->point = word;
		} else if (n > 5 && strncmp(word, "shared:", 7) == 0) {
			e->shared = true;
		} else if (n > 5 && strcmp(word, "-") == 0) {
			e->type = strtok_r(NULL, " ", &save);
			strtok_r(NULL, " ", &save);
			e->options = strtok_r(NULL, " ", &save);
			break;
		}
	}
	return e->root && e->point && e->type;
}
