/* SPDX-License-Identifier: Apache-2.0 */
/* mount_options: one table of words. */
#include "guest/agent/container/mount_options.h"

#include <string.h>

#include "guest/agent/container/calls.h"

enum what {
	SET,   /* an attribute of the mount */
	CLEAR, /* its absence */
	ATIME, /* one of the access time modes, which exclude each other */
	/* The same for the mounts below too (mount_setattr AT_RECURSIVE), in this order. */
	REC_SET,
	REC_CLEAR,
	REC_ATIME,
	PROPAGATE,
	PROPAGATE_REC,
	BIND,
	RBIND,
	IDMAP,
	RIDMAP,
	COPY_UP,
	IGNORE,
	FS_FLAG,
};

static const struct word {
	const char *name;
	enum what what;
	uint64_t value;
} words[] = {
    {"acl", FS_FLAG, 0},
    {"async", FS_FLAG, 0},
    {"atime", CLEAR, MOUNT_ATTR_NOATIME},
    {"bind", BIND, 0},
    {"defaults", IGNORE, 0},
    {"dev", CLEAR, MOUNT_ATTR_NODEV},
    {"diratime", CLEAR, MOUNT_ATTR_NODIRATIME},
    {"dirsync", FS_FLAG, 0},
    {"exec", CLEAR, MOUNT_ATTR_NOEXEC},
    {"idmap", IDMAP, 0},
    {"lazytime", FS_FLAG, 0},
    {"loud", IGNORE, 0},
    {"mand", FS_FLAG, 0},
    {"noatime", ATIME, MOUNT_ATTR_NOATIME},
    {"nodev", SET, MOUNT_ATTR_NODEV},
    {"nodiratime", SET, MOUNT_ATTR_NODIRATIME},
    {"noexec", SET, MOUNT_ATTR_NOEXEC},
    {"nolazytime", FS_FLAG, 0},
    {"nomand", FS_FLAG, 0},
    {"norelatime", CLEAR, MOUNT_ATTR_RELATIME},
    {"nostrictatime", CLEAR, MOUNT_ATTR_STRICTATIME},
    {"nosuid", SET, MOUNT_ATTR_NOSUID},
    {"nosymfollow", SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", PROPAGATE, MS_PRIVATE},
    {"ratime", REC_CLEAR, MOUNT_ATTR_NOATIME},
    {"rbind", RBIND, 0},
    {"rdev", REC_CLEAR, MOUNT_ATTR_NODEV},
    {"rdiratime", REC_CLEAR, MOUNT_ATTR_NODIRATIME},
    {"relatime", ATIME, MOUNT_ATTR_RELATIME},
    {"remount", IGNORE, 0},
    {"rexec", REC_CLEAR, MOUNT_ATTR_NOEXEC},
    {"ridmap", RIDMAP, 0},
    {"rnoatime", REC_ATIME, MOUNT_ATTR_NOATIME},
    {"rnodev", REC_SET, MOUNT_ATTR_NODEV},
    {"rnodiratime", REC_SET, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", REC_SET, MOUNT_ATTR_NOEXEC},
    {"rnorelatime", REC_CLEAR, MOUNT_ATTR_RELATIME},
    {"rnostrictatime", REC_CLEAR, MOUNT_ATTR_STRICTATIME},
    {"rnosuid", REC_SET, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", REC_SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"ro", SET, MOUNT_ATTR_RDONLY},
    {"rprivate", PROPAGATE_REC, MS_PRIVATE},
    {"rrelatime", REC_ATIME, MOUNT_ATTR_RELATIME},
    {"rro", REC_SET, MOUNT_ATTR_RDONLY},
    {"rrw", REC_CLEAR, MOUNT_ATTR_RDONLY},
    {"rshared", PROPAGATE_REC, MS_SHARED},
    {"rslave", PROPAGATE_REC, MS_SLAVE},
    {"rstrictatime", REC_ATIME, MOUNT_ATTR_STRICTATIME},
    {"rsuid", REC_CLEAR, MOUNT_ATTR_NOSUID},
    {"rsymfollow", REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"runbindable", PROPAGATE_REC, MS_UNBINDABLE},
    {"rw", CLEAR, MOUNT_ATTR_RDONLY},
    {"shared", PROPAGATE, MS_SHARED},
    {"silent", IGNORE, 0},
    {"slave", PROPAGATE, MS_SLAVE},
    {"strictatime", ATIME, MOUNT_ATTR_STRICTATIME},
    {"suid", CLEAR, MOUNT_ATTR_NOSUID},
    {"symfollow", CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", FS_FLAG, 0},
    {"tmpcopyup", COPY_UP, 0},
    {"unbindable", PROPAGATE, MS_UNBINDABLE},
};

static const struct word *find(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}

/* The last word wins, as in fstab. The access time modes are a number, not bits: to
 * change it the kernel wants the whole field cleared. */
static void apply(uint64_t *set, uint64_t *clear, enum what what, uint64_t value)
{
	if (what == ATIME) {
		*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
		*clear |= MOUNT_ATTR__ATIME;
	} else if (what == SET) {
		*set |= value;
		*clear &= ~value;
	} else if (value & MOUNT_ATTR__ATIME || value == 0) { /* MOUNT_ATTR_RELATIME is 0 */
		/* "atime", "norelatime" ...: back to the kernel's default, relatime. */
		if ((*set & MOUNT_ATTR__ATIME) == value)
			*set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		*clear |= MOUNT_ATTR__ATIME;
	} else {
		*set &= ~value;
		*clear |= value;
	}
}

void mount_options_parse(const struct oci_strings *list, struct mount_options *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < list->n; i++) {
		const struct word *w = find(list->v[i]);

		if (!w)
			continue;
		switch (w->what) {
		case SET:
		case CLEAR:
		case ATIME:
			apply(&out->set, &out->clear, w->what, w->value);
			break;
		case REC_SET:
		case REC_CLEAR:
		case REC_ATIME:
			apply(&out->set_recursive, &out->clear_recursive,
			      (enum what)(w->what - REC_SET), w->value);
			break;
		case PROPAGATE:
		case PROPAGATE_REC:
			out->propagation = w->value;
			out->propagation_recursive = w->what == PROPAGATE_REC;
			break;
		case RBIND:
			out->recursive = true;
			out->bind = true;
			break;
		case BIND:
			out->bind = true;
			break;
		case RIDMAP:
			out->idmap_recursive = true;
			out->idmap = true;
			break;
		case IDMAP:
			out->idmap = true;
			break;
		case COPY_UP:
			out->copy_up = true;
			break;
		case IGNORE:
		case FS_FLAG:
			break;
		}
	}
}

uint64_t mount_propagation(const char *word, bool *recursive)
{
	const struct word *w = find(word);

	if (!w || (w->what != PROPAGATE && w->what != PROPAGATE_REC))
		return 0;
	*recursive = w->what == PROPAGATE_REC;
	return w->value;
}

enum mount_word_use mount_word_use(const char *word)
{
	const struct word *w = find(word);

	if (!w)
		return MOUNT_WORD_FS;
	return w->what == FS_FLAG ? MOUNT_WORD_FS_FLAG : MOUNT_WORD_OURS;
}

const char *mount_word(size_t i)
{
	return i < sizeof(words) / sizeof(words[0]) ? words[i].name : NULL;
}
