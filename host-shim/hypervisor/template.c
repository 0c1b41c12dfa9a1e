/* SPDX-License-Identifier: Apache-2.0 */
/* template: a folder with a guest that was saved once its agent answered. */
#include "host-shim/hypervisor/template.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host-shim/hypervisor/hypervisor.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/base/version.h"
#include "lib/guestimg/guestimg.h"

#define RENAME_NEW_ONLY 1u /* RENAME_NOREPLACE */

void template_files_close(struct template_files *f)
{
	close_fd(&f->state);
	close_fd(&f->memory);
	close_fd(&f->pages);
}

/* ---- template.json */

enum member_type { STRING, NUMBER32, NUMBER64, DIGEST };

#define AT(m) offsetof(struct vm_template, m), sizeof(((struct vm_template *)0)->m)

static const struct {
	const char *name;
	enum member_type type;
	size_t offset, size;
	bool optional;
} members[] = {
    {"version", STRING, AT(version)},
    {"arch", STRING, AT(arch)},
    {"image", STRING, AT(image)},
    {"kernel_sha256", DIGEST, AT(kernel_sha256)},
    {"root_sha256", DIGEST, AT(root_sha256)},
    {"cpu", STRING, AT(cpu)},
    {"net", STRING, AT(net)},
    {"cpus", NUMBER32, AT(cpus)},
    {"slots", NUMBER32, AT(slots), true},
    {"lacks", NUMBER32, AT(lacks), true},
    {"memory", NUMBER64, AT(memory)},
    {"uid", NUMBER64, AT(uid)},
    {"state_size", NUMBER64, AT(state_size)},
    {"memory_size", NUMBER64, AT(memory_size)},
    {"memory_id", STRING, AT(memory_id)},
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static int __attribute__((format(printf, 2, 3))) wrong(struct error *err, const char *fmt, ...)
{
	va_list ap;
	char text[256];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s", text);
}

static int get_member(const cJSON *json, size_t i, struct vm_template *t, struct error *err)
{
	char *at = (char *)t + members[i].offset;
	uint64_t n = 0;
	int r;

	if (members[i].type == STRING || members[i].type == DIGEST) {
		r = json_string_copy(json, members[i].name, true, at, members[i].size,
		                     TEMPLATE_FILE, err);
		if (r == 0 && members[i].type == DIGEST &&
		    (strlen(at) != TEMPLATE_SHA256 - 1 ||
		     strspn(at, "0123456789abcdef") != TEMPLATE_SHA256 - 1))
			r = wrong(err, TEMPLATE_FILE ": \"%s\" is no digest", members[i].name);
		return r;
	}
	r = json_u64(json, members[i].name, !members[i].optional, &n, TEMPLATE_FILE, err);
	if (r < 0)
		return r;
	if (members[i].optional && !cJSON_GetObjectItemCaseSensitive(json, members[i].name))
		return 0;
	if (members[i].type == NUMBER64)
		memcpy(at, &n, sizeof(n));
	else if (n > UINT32_MAX)
		return wrong(err, TEMPLATE_FILE ": \"%s\" is too large", members[i].name);
	else
		memcpy(at, &(uint32_t){(uint32_t)n}, sizeof(uint32_t));
	return 0;
}

static int check_schema(const cJSON *json, struct error *err)
{
	const char *version = "";
	uint64_t schema = 0;
	int r = json_u64(json, "schema", true, &schema, TEMPLATE_FILE, err);

	if (r < 0)
		return r;
	json_string(json, "version", false, &version, TEMPLATE_FILE, NULL);
	if (schema > TEMPLATE_SCHEMA)
		return error_set_kind(err, ERROR_INPUT, EPROTONOSUPPORT,
		                      TEMPLATE_FILE ": made by a newer Kihon (%.31s, schema "
		                                    "%" PRIu64 "): make the template again",
		                      version, schema);
	return schema == TEMPLATE_SCHEMA
	           ? 0
	           : wrong(err, TEMPLATE_FILE ": schema %" PRIu64 " is unknown", schema);
}

static int check_values(const struct vm_template *t, struct error *err)
{
	struct utsname u;

	if (uname(&u) == 0 && strcmp(u.machine, t->arch) != 0)
		return wrong(err, TEMPLATE_FILE ": made on %s, this host is %s", t->arch,
		             u.machine);
	if (t->cpus < 1 || t->cpus > HYPERVISOR_CPUS_MAX)
		return wrong(err, TEMPLATE_FILE ": %" PRIu32 " processors: a guest has 1 to %d",
		             t->cpus, HYPERVISOR_CPUS_MAX);
	if (t->memory == 0 || t->memory % (1u << 20) || t->memory > INT64_MAX)
		return wrong(err, TEMPLATE_FILE ": \"memory\" is not in whole MiB");
	if (t->image[0] != '/')
		return wrong(err, TEMPLATE_FILE ": \"image\" is no absolute path");
	return 0;
}

int template_parse(const char *text, size_t size, struct vm_template *t, struct error *err)
{
	_cleanup_cjson_ cJSON *json = NULL;
	int r = json_parse(text, size, TEMPLATE_MAX_SIZE, TEMPLATE_FILE, &json, err);

	*t = (struct vm_template){.lacks = TEMPLATE_LACKS_UNKNOWN};
	if (r < 0)
		return r;
	if (!cJSON_IsObject(json))
		return wrong(err, TEMPLATE_FILE ": is no object");
	r = check_schema(json, err);
	for (size_t i = 0; i < N_MEMBERS && r == 0; i++)
		r = get_member(json, i, t, err);
	return r < 0 ? r : check_values(t, err);
}

void template_format(const struct vm_template *t, struct buffer *out)
{
	_cleanup_cjson_ cJSON *json = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(json, "schema", TEMPLATE_SCHEMA);
	for (size_t i = 0; i < N_MEMBERS; i++) {
		const char *at = (const char *)t + members[i].offset;
		uint64_t n = 0;
		uint32_t n32 = 0;

		if (members[i].type == STRING || members[i].type == DIGEST) {
			cJSON_AddStringToObject(json, members[i].name, at);
			continue;
		}
		if (members[i].type == NUMBER64)
			memcpy(&n, at, sizeof(n));
		else
			memcpy(&n32, at, sizeof(n32));
		cJSON_AddNumberToObject(json, members[i].name, (double)(n | n32));
	}
	text = cJSON_Print(json);
	out->failed |= !text;
	buffer_printf(out, "%s\n", text ? text : "");
	free(text);
}

/* A change of the file's bytes moves its time of change, which nobody can set. */
static int name_file(int fd, char id[64], struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, TEMPLATE_MEMORY);
	snprintf(id, 64, "%ju %jd.%09ld", (uintmax_t)st.st_ino, (intmax_t)st.st_ctim.tv_sec,
	         st.st_ctim.tv_nsec);
	return 0;
}

/* ---- using one */

/* Whoever can write to it can put anything into a guest. */
static int check_owner(int fd, const char *name, uid_t uid, struct stat *st, struct error *err)
{
	if (fstat(fd, st) < 0)
		return error_errno(err, errno, "%s", name);
	if (st->st_uid != uid)
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "%s belongs to user %u, not to %u: a template is for the "
		                      "user alone who made it",
		                      name, st->st_uid, uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "%s may be written to by others: chmod go-w", name);
	return 0;
}

static int open_one(int dir, const char *name, uid_t uid, uint64_t size, int *fd, struct error *err)
{
	struct stat st;
	int r;

	*fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0)
		return error_set_kind(err, ERROR_INPUT, errno, "%s: %s", name, strerror(errno));
	r = check_owner(*fd, name, uid, &st, err);
	if (r == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size))
		r = wrong(err,
		          "%s has %" PRIu64 " bytes, not %" PRIu64 " as " TEMPLATE_FILE
		          " says: it is cut short or of another template",
		          name, (uint64_t)st.st_size, size);
	return r;
}

/* A template is as good without it. */
static int open_pages(int dir, uid_t uid, int *fd, struct error *err)
{
	struct stat st;

	*fd = openat(dir, TEMPLATE_PAGES, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, TEMPLATE_PAGES);
	return check_owner(*fd, TEMPLATE_PAGES, uid, &st, err);
}

static int open_parts(int dir, uid_t uid, struct vm_template *t, struct template_files *f,
                      struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct stat st;
	char id[64] = "";
	int r = check_owner(dir, "the folder", uid, &st, err);

	if (r == 0)
		r = fs_read_file(dir, TEMPLATE_FILE, TEMPLATE_MAX_SIZE, &text, err);
	if (r == 0)
		r = template_parse((const char *)text.data, text.size, t, err);
	if (r == 0 && t->uid != uid)
		r = error_set_kind(err, ERROR_INPUT, EPERM,
		                   "was made by user %" PRIu64 ", not by %u: a template is for the "
		                   "user alone who made it",
		                   t->uid, uid);
	if (r == 0)
		r = open_one(dir, TEMPLATE_STATE, uid, t->state_size, &f->state, err);
	if (r == 0)
		r = open_one(dir, TEMPLATE_MEMORY, uid, t->memory_size, &f->memory, err);
	if (r == 0)
		r = open_pages(dir, uid, &f->pages, err);
	if (r == 0)
		r = name_file(f->memory, id, err);
	f->untouched = r == 0 && strcmp(id, t->memory_id) == 0;
	return r;
}

int template_open(const char *dir, uid_t uid, struct vm_template *t, struct template_files *f,
                  struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_set_kind(err, ERROR_INPUT, errno, "template %s: %s", dir,
		                      strerror(errno));
	r = open_parts(fd, uid, t, f, err);
	return r < 0 ? error_prefix(err, r, "template %s", dir) : 0;
}

/* ---- making one */

static int make_file(const char *dir, const char *name, int *fd, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", dir, name);

	if (!path)
		return error_set(err, ENOMEM, "no memory for a file name");
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *fd < 0 ? error_errno(err, errno, "making %s", path) : 0;
}

int template_create(const char *dir, char **staged, struct template_files *f, struct error *err)
{
	size_t n = strlen(dir);
	int r;

	if (fs_exists(dir))
		return error_set_kind(err, ERROR_INPUT, EEXIST,
		                      "%s exists: a template is a new folder", dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	*staged = str_printf("%.*s.XXXXXX", (int)n, dir);
	if (!*staged)
		return error_set(err, ENOMEM, "no memory for a template");
	if (!mkdtemp(*staged)) {
		r = error_errno(err, errno, "making a folder beside %s", dir);
		free(*staged);
		*staged = NULL;
		return r;
	}
	r = make_file(*staged, TEMPLATE_STATE, &f->state, err);
	if (r == 0)
		r = make_file(*staged, TEMPLATE_MEMORY, &f->memory, err);
	return r < 0 ? r : make_file(*staged, TEMPLATE_PAGES, &f->pages, err);
}

/* On the disk, and nobody writes to it again. */
static int seal(int fd, const char *name, uint64_t *size, struct error *err)
{
	struct stat st;

	if (fsync(fd) < 0 || fchmod(fd, 0400) < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "writing the template's %s", name);
	*size = (uint64_t)st.st_size;
	return 0;
}

int template_commit(const char *staged, const char *dir, struct vm_template *t,
                    const struct template_files *f, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" TEMPLATE_FILE, staged);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct utsname u = {0};
	uint64_t size;
	int r = seal(f->state, TEMPLATE_STATE, &t->state_size, err);

	if (r == 0)
		r = seal(f->memory, TEMPLATE_MEMORY, &t->memory_size, err);
	if (r == 0)
		r = seal(f->pages, TEMPLATE_PAGES, &size, err);
	if (r == 0)
		r = name_file(f->memory, t->memory_id, err);
	if (r < 0)
		return r;
	uname(&u);
	snprintf(t->version, sizeof(t->version), "%s", KIHON_VERSION);
	snprintf(t->arch, sizeof(t->arch), "%.15s", u.machine);
	template_format(t, &text);
	if (!path || text.failed)
		return error_set(err, ENOMEM, "no memory for a template");
	r = fs_write_file_atomic(path, text.data, text.size, 0400, err);
	if (r == 0 && syscall(SYS_renameat2, AT_FDCWD, staged, AT_FDCWD, dir, RENAME_NEW_ONLY) < 0)
		r = error_errno(err, errno, "giving the template its name %s", dir);
	return r;
}

/* ---- its image */

static int digest_of(const struct guestimg *img, const char *name, char out[TEMPLATE_SHA256],
                     struct error *err)
{
	const struct guestimg_file *file = name ? guestimg_find(img, name) : NULL;

	if (!file)
		return wrong(err, GUESTIMG_FILE " has no digest of %s", name ? name : "a kernel");
	snprintf(out, TEMPLATE_SHA256, "%s", file->sha256);
	return 0;
}

/* A guest whose memory is closed to this host. */
static int check_profile(const struct guestimg *img, const char *dir, struct error *err)
{
	if (guestimg_is_confidential(img))
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "%s is an image of profile %s: the memory of a confidential "
		                      "guest cannot be saved, nor be another's",
		                      dir, img->profile);
	return 0;
}

static int take_digests(struct vm_template *t, const struct guestimg *img, struct error *err)
{
	int r = digest_of(img, img->kernel.vmlinux, t->kernel_sha256, err);

	return r < 0 ? r : digest_of(img, img->rootfs.file, t->root_sha256, err);
}

int template_take_image(struct vm_template *t, const struct guestimg *img, const char *dir,
                        struct error *err)
{
	_cleanup_free_ char *path = realpath(dir, NULL);
	int r = path ? check_profile(img, dir, err) : error_errno(err, errno, "image %s", dir);

	if (r < 0)
		return r;
	if (strlen(path) >= sizeof(t->image))
		return wrong(err, "the path of the image is too long");
	strcpy(t->image, path);
	return take_digests(t, img, err);
}

int template_check_image(const struct vm_template *t, const struct guestimg *img, const char *dir,
                         struct error *err)
{
	struct vm_template now = {0};
	int r = check_profile(img, dir, err);

	if (r == 0)
		r = take_digests(&now, img, err);
	if (r == 0 && (strcmp(now.kernel_sha256, t->kernel_sha256) != 0 ||
	               strcmp(now.root_sha256, t->root_sha256) != 0))
		r = wrong(err,
		          "%.120s is another image than the template's: make the template again",
		          dir);
	return r;
}
