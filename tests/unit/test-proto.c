/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto: every message against bytes that protoc made (tests/data/proto), against bytes written by
 * hand for what decoders get wrong, and against what a real Kata runtime sent.
 */
#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/health.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/ttrpc.h"
#include "tests/unit/check.h"

#define MAX_TYPES 256

/* All message types that can be reached from the services and the envelopes. */
static const ProtobufCMessageDescriptor *types[MAX_TYPES];
static size_t n_types;

static void add_type(const ProtobufCMessageDescriptor *t)
{
	for (size_t i = 0; i < n_types; i++)
		if (types[i] == t)
			return;
	check(n_types < MAX_TYPES);
	types[n_types++] = t;
	for (unsigned int i = 0; i < t->n_fields; i++)
		if (t->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			add_type(t->fields[i].descriptor);
}

static void find_types(void)
{
	const ProtobufCServiceDescriptor *services[] = {&grpc__agent_service__descriptor,
	                                                &grpc__health__descriptor};

	for (size_t s = 0; s < 2; s++) {
		for (unsigned int i = 0; i < services[s]->n_methods; i++) {
			add_type(services[s]->methods[i].input);
			add_type(services[s]->methods[i].output);
		}
	}
	add_type(&ttrpc__request__descriptor);
	add_type(&ttrpc__response__descriptor);
}

static const ProtobufCMessageDescriptor *find_type(const char *name)
{
	for (size_t i = 0; i < n_types; i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

static size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		unsigned int byte;

		check(sscanf(hex, "%2x", &byte) == 1);
		check(n < room);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

/* Nothing in it, at any depth, was unknown to the decoder. */
static bool all_known(const ProtobufCMessage *m)
{
	if (m->n_unknown_fields)
		return false;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *at = (const char *)m + f->offset;
		size_t n = 1;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			n = *(const size_t *)((const char *)m + f->quantifier_offset);
		for (size_t j = 0; j < n; j++) {
			const ProtobufCMessage *sub =
			    f->label == PROTOBUF_C_LABEL_REPEATED
			        ? (*(ProtobufCMessage *const *const *)at)[j]
			        : *(ProtobufCMessage *const *)at;

			if (sub && !all_known(sub))
				return false;
		}
	}
	return true;
}

/* Decodes, and encodes again to the same bytes. */
static void check_line(const char *name, const uint8_t *bytes, size_t size)
{
	const ProtobufCMessageDescriptor *t = find_type(name);
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	ProtobufCMessage *m;
	uint8_t *again;

	if (!t)
		check_fail(__FILE__, __LINE__, "no message %s", name);
	m = rpc_unpack(t, &arena, bytes, size);
	if (!m)
		check_fail(__FILE__, __LINE__, "%s cannot be decoded", name);
	if (!all_known(m))
		check_fail(__FILE__, __LINE__, "%s has a field that is not known", name);
	if (protobuf_c_message_get_packed_size(m) != size)
		check_fail(__FILE__, __LINE__, "%s is encoded in another size", name);
	again = malloc(size + 1);
	check(again != NULL);
	protobuf_c_message_pack(m, again);
	if (memcmp(again, bytes, size) != 0)
		check_fail(__FILE__, __LINE__, "%s is encoded differently", name);
	free(again);
	arena_free(&arena);
}

TEST(golden_messages)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	static uint8_t bytes[65536];
	size_t seen = 0;
	char *save = NULL;

	find_types();
	check_int(fs_read_file(AT_FDCWD, "tests/data/proto/golden.txt", 1 << 20, &text, NULL), 0);
	for (char *line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *hex = strchr(line, ' ');

		check(hex != NULL);
		*hex++ = '\0';
		check_line(line, bytes,
		           unhex(strcmp(hex, "-") == 0 ? "" : hex, bytes, sizeof(bytes)));
		seen++;
	}
	/* Map entries are types of their own, without a line. */
	for (size_t i = 0; i < n_types; i++)
		seen += str_ends(types[i]->name, "Entry") &&
		        strcmp(types[i]->short_name, "BlkioStatsEntry");
	check_int(seen, n_types);
}

/* Decodes, and encodes again: what the message means, in one form of its bytes. */
static size_t normal_form(const ProtobufCMessageDescriptor *t, const char *hex, uint8_t out[1024])
{
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	uint8_t bytes[512];
	size_t size = unhex(hex, bytes, sizeof(bytes));
	ProtobufCMessage *m = rpc_unpack(t, &arena, bytes, size);

	check(m != NULL);
	check(all_known(m));
	size = protobuf_c_message_get_packed_size(m);
	check(size <= 1024);
	protobuf_c_message_pack(m, out);
	arena_free(&arena);
	return size;
}

/* tests/agent/runtime.py golden: "TYPE PACKED UNPACKED", every message with repeated numbers. */
TEST(golden_numbers_in_both_forms)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *save = NULL;
	size_t lines = 0;

	find_types();
	check_int(fs_read_file(AT_FDCWD, "tests/data/proto/packed.txt", 1 << 16, &text, NULL), 0);
	for (char *line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *packed = strchr(line, ' '), *unpacked = packed ? strchr(packed + 1, ' ') : 0;
		const ProtobufCMessageDescriptor *t;
		uint8_t a[1024], b[1024];
		size_t size;

		check(packed && unpacked);
		*packed++ = *unpacked++ = '\0';
		t = find_type(line);
		check(t != NULL);
		size = normal_form(t, packed, a);
		check_int(normal_form(t, unpacked, b), size);
		check_mem(a, b, size);
		/* protobuf-c writes proto3's default, the packed form. */
		check_int(size, strlen(packed) / 2);
		lines++;
	}
	check_int(lines, 4);
}

TEST(the_protocol_is_whole)
{
	check_int(grpc__agent_service__descriptor.n_methods, 42);
	check_int(grpc__health__descriptor.n_methods, 2);
	check_str(grpc__agent_service__descriptor.name, "grpc.AgentService");
	check_str(grpc__health__descriptor.name, "grpc.Health");
}

/* ---- what decoders get wrong (protocol notes A.2, rule 7) */

#define DECODE(type, arena, ...)                                                                   \
	({                                                                                         \
		static const uint8_t b_[] = {__VA_ARGS__};                                         \
		rpc_unpack(&grpc__##type##__descriptor, (arena), b_, sizeof(b_));                  \
	})

TEST(repeated_numbers_packed_and_not)
{
	struct arena a = arena_init(1 << 16);
	const Grpc__User *u = (void *)DECODE(user, &a, 0x1a, 4, 0, 10, 0xac, 0x02);

	check(u != NULL);
	check_int(u->n_additionalgids, 3);
	check_int(u->additionalgids[2], 300);
	u = (void *)DECODE(user, &a, 0x18, 0, 0x18, 10, 0x18, 0xac, 0x02);
	check(u != NULL);
	check_int(u->n_additionalgids, 3);
	check_int(u->additionalgids[2], 300);
	/* both in one message */
	u = (void *)DECODE(user, &a, 0x18, 5, 0x1a, 2, 6, 7);
	check(u != NULL);
	check_int(u->n_additionalgids, 3);
	check_int(u->additionalgids[0], 5);
	check_int(u->additionalgids[2], 7);
	arena_free(&a);
}

TEST(negative_numbers_have_ten_bytes)
{
	struct arena a = arena_init(1 << 16);
	const Grpc__Process *p = (void *)DECODE(process, &a, 0x58, 0x9c, 0xff, 0xff, 0xff, 0xff,
	                                        0xff, 0xff, 0xff, 0xff, 0x01);
	const Grpc__WaitProcessResponse *w =
	    (void *)DECODE(wait_process_response, &a, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                   0xff, 0xff, 0xff, 0x01);

	check(p && w);
	check_int(p->oomscoreadj, -100);
	check_int(w->status, -1);
	arena_free(&a);
}

TEST(last_value_wins_and_messages_merge)
{
	struct arena a = arena_init(1 << 16);
	const Grpc__ReadStreamRequest *r =
	    (void *)DECODE(read_stream_request, &a, 0x18, 1, 0x0a, 1, 'a', 0x18, 2, 0x0a, 1, 'b');
	/* User in two parts: a name and a number in the first, a number in the second. */
	const Grpc__Process *p =
	    (void *)DECODE(process, &a, 0x1a, 5, 0x22, 1, 'u', 0x08, 7, 0x08, 1, 0x1a, 2, 0x10, 8);

	check(r && p);
	check_int(r->len, 2);
	check_str(r->container_id, "b");
	check_str(p->user->username, "u");
	check_int(p->user->uid, 7);
	check_int(p->user->gid, 8);
	check_int(p->terminal, 1);
	arena_free(&a);
}

static size_t take_varint(const uint8_t **p)
{
	size_t v = 0;

	for (unsigned int shift = 0;; shift += 7) {
		v |= (size_t)(**p & 0x7f) << shift;
		if (!(*(*p)++ & 0x80))
			return v;
	}
}

static void put_field(struct buffer *out, const uint8_t *tag, size_t tag_size, const void *value,
                      size_t size)
{
	buffer_append(out, tag, tag_size);
	for (size_t n = size;; n >>= 7) {
		buffer_append(out, &(uint8_t){(uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0))}, 1);
		if (n <= 0x7f)
			break;
	}
	buffer_append(out, value, size);
}

/* The same message, each singular sub-message of it in as many parts as it has fields. */
static void split(const ProtobufCMessageDescriptor *t, const uint8_t *p, size_t size,
                  struct buffer *out, size_t *parts)
{
	const uint8_t *end = p + size;

	while (p < end) {
		const uint8_t *start = p;
		size_t tag = take_varint(&p), tag_size = (size_t)(p - start), n;
		const ProtobufCFieldDescriptor *f =
		    protobuf_c_message_descriptor_get_field(t, (unsigned int)(tag >> 3));
		_cleanup_buffer_ struct buffer inner = BUFFER_INIT;

		check(f && (tag & 7) != 3 && (tag & 7) != 4);
		if ((tag & 7) != 2) {
			if ((tag & 7) == 0)
				take_varint(&p);
			else
				p += (tag & 7) == 1 ? 8 : 4;
			buffer_append(out, start, (size_t)(p - start));
			continue;
		}
		n = take_varint(&p);
		p += n;
		if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
			buffer_append(out, start, (size_t)(p - start));
			continue;
		}
		split(f->descriptor, p - n, n, &inner, parts);
		if (f->label == PROTOBUF_C_LABEL_REPEATED || inner.size == 0) {
			put_field(out, start, tag_size, buffer_cstr(&inner), inner.size);
			continue;
		}
		for (const uint8_t *q = inner.data; q < inner.data + inner.size;) {
			const uint8_t *field = q;
			size_t wire = take_varint(&q) & 7;

			if (wire == 2) {
				n = take_varint(&q);
				q += n;
			} else if (wire == 0) {
				take_varint(&q);
			} else {
				q += wire == 1 ? 8 : 4;
			}
			put_field(out, start, tag_size, field, (size_t)(q - field));
			(*parts)++;
		}
	}
}

/* What protoc wrote, taken apart, decodes to what protoc wrote. */
TEST(sub_messages_in_parts_are_merged)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	static uint8_t bytes[65536];
	char *save = NULL;
	size_t parts = 0;

	find_types();
	for (size_t i = 0; i < n_types; i++)
		check(types[i]->n_fields <= 64);
	check_int(fs_read_file(AT_FDCWD, "tests/data/proto/golden.txt", 1 << 20, &text, NULL), 0);
	for (char *line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		_cleanup_buffer_ struct buffer taken = BUFFER_INIT;
		struct arena arena = arena_init(RPC_ARENA_LIMIT);
		const ProtobufCMessageDescriptor *t;
		char *hex = strchr(line, ' ');
		ProtobufCMessage *m;
		uint8_t *again;
		size_t size;

		check(hex != NULL);
		*hex++ = '\0';
		t = find_type(line);
		size = unhex(strcmp(hex, "-") == 0 ? "" : hex, bytes, sizeof(bytes));
		split(t, bytes, size, &taken, &parts);
		m = rpc_unpack(t, &arena, (const uint8_t *)buffer_cstr(&taken), taken.size);
		check(m != NULL);
		check_int(protobuf_c_message_get_packed_size(m), size);
		again = malloc(size + 1);
		check(again != NULL);
		protobuf_c_message_pack(m, again);
		check_mem(again, bytes, size);
		free(again);
		arena_free(&arena);
	}
	check(parts > 100);
}

TEST(unknown_fields_are_skipped)
{
	struct arena a = arena_init(1 << 16);
	/* fields 100 (varint), 101 (8 bytes), 102 (bytes), 103 (4 bytes), then container_id */
	const Grpc__StartContainerRequest *r = (void *)DECODE(
	    start_container_request, &a, 0xa0, 0x06, 0x96, 0x01, 0xa9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8,
	    0xb2, 0x06, 2, 9, 9, 0xbd, 0x06, 1, 2, 3, 4, 0x0a, 2, 'c', '1');

	check(r != NULL);
	check_str(r->container_id, "c1");
	arena_free(&a);
}

TEST(map_entries_in_any_shape)
{
	struct arena a = arena_init(1 << 16);
	/* Annotations: value before key; without a value; without either */
	const Grpc__Spec *s = (void *)DECODE(spec, &a, 0x3a, 6, 0x12, 1, 'v', 0x0a, 1, 'k', 0x3a, 3,
	                                     0x0a, 1, 'x', 0x3a, 0);

	check(s != NULL);
	check_int(s->n_annotations, 3);
	check_str(s->annotations[0]->key, "k");
	check_str(s->annotations[0]->value, "v");
	check_str(s->annotations[1]->key, "x");
	check_str(s->annotations[1]->value, "");
	check_str(s->annotations[2]->key, "");
	arena_free(&a);
}

TEST(presence_of_errno_and_of_memory_settings)
{
	struct arena a = arena_init(1 << 16);
	const Grpc__LinuxSyscall *with = (void *)DECODE(linux_syscall, &a, 0x18, 0);
	const Grpc__LinuxSyscall *without = (void *)DECODE(linux_syscall, &a, 0x12, 1, 'x');
	const Grpc__MemAgentMemcgConfig *m = (void *)DECODE(mem_agent_memcg_config, &a, 0x08, 0);

	check(with && without && m);
	check_int(with->errno_ret_case, GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET);
	check_int(without->errno_ret_case, GRPC__LINUX_SYSCALL__ERRNO_RET__NOT_SET);
	check(m->has_disabled && !m->disabled);
	check(!m->has_swap);
	arena_free(&a);
}

TEST(broken_bytes_are_refused)
{
	struct arena a = arena_init(1 << 16);

	check(!DECODE(start_container_request, &a, 0x0a, 5, 'c')); /* cut string */
	check(!DECODE(start_container_request, &a, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 'c'));
	check(!DECODE(start_container_request, &a, 0xff, 0xff, 0xff)); /* cut tag */
	check(!DECODE(start_container_request, &a, 0x0b, 1));          /* a group */
	/* a group, and a cut varint, inside a sub-message in parts */
	check(!DECODE(process, &a, 0x1a, 2, 0x08, 7, 0x1a, 2, 0x0b, 0x0c));
	check(!DECODE(process, &a, 0x1a, 2, 0x08, 7, 0x1a, 2, 0x10, 0x80));
	/* a string of C would end at the zero byte; bytes may have it */
	check(!DECODE(start_container_request, &a, 0x0a, 3, 'c', 0, 'd'));
	check(!DECODE(start_container_request, &a, 0x0a, 1, 0));
	check(!DECODE(exec_process_request, &a, 0x22, 4, 0x22, 2, 'a', 0)); /* process.Args */
	check(!DECODE(process, &a, 0x1a, 2, 0x08, 7, 0x1a, 4, 0x22, 2, 0, 'a'));
	check(DECODE(write_stream_request, &a, 0x1a, 2, 0, 'a') != NULL);
	check(!DECODE(read_stream_request, &a, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	              0xff, 0xff, 0xff)); /* endless varint */
	arena_free(&a);
}

/* ---- recorded from a real runtime */

static ProtobufCMessage *load(const char *name, const ProtobufCMessageDescriptor *type,
                              struct arena *arena)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	char path[128];
	ProtobufCMessage *m;

	snprintf(path, sizeof(path), "tests/data/kata-wire/%s", name);
	check_int(fs_read_file(AT_FDCWD, path, 1 << 20, &b, NULL), 0);
	m = rpc_unpack(type, arena, b.data, b.size);
	check(m != NULL);
	check(all_known(m));
	return m;
}

TEST(recorded_create_sandbox)
{
	struct arena a = arena_init(1 << 20);
	const Grpc__CreateSandboxRequest *r =
	    (void *)load("create_sandbox.bin", &grpc__create_sandbox_request__descriptor, &a);

	check_int(r->n_storages, 2);
	check_str(r->storages[0]->driver, "virtio-fs");
	check_str(r->storages[0]->source, "kataShared");
	check_str(r->storages[1]->driver, "ephemeral");
	check_str(r->storages[1]->mount_point, "/run/kata-containers/sandbox/shm");
	arena_free(&a);
}

TEST(recorded_create_container)
{
	struct arena a = arena_init(1 << 20);
	const Grpc__CreateContainerRequest *r =
	    (void *)load("create_container.bin", &grpc__create_container_request__descriptor, &a);
	const Grpc__Spec *s = r->oci;

	check_str(r->container_id, "c1");
	check_str(r->exec_id, "c1");
	check_str(s->process->args[1], "hi");
	check_int(s->process->user->n_additionalgids, 2); /* sent packed */
	check_int(s->process->user->additionalgids[1], 10);
	check_int(s->process->oomscoreadj, 100);
	check_int(s->process->rlimits[0]->soft, 1024);
	check_int(s->n_mounts, 3);
	check_str(s->linux->sysctl[0]->key, "net.ipv4.ip_forward");
	check_int(s->linux->resources->memory->limit, 134217728);
	check_int(s->linux->n_namespaces, 3);
	check_int(s->linux->seccomp->syscalls[1]->errnoret, 38);
	check_int(s->linux->seccomp->syscalls[0]->errno_ret_case,
	          GRPC__LINUX_SYSCALL__ERRNO_RET__NOT_SET);
	arena_free(&a);
}

static int keep_frame(const struct ttrpc_frame *frame, void *data)
{
	_cleanup_arena_ struct arena arena = arena_init(1 << 16);
	const Ttrpc__Request *env =
	    (void *)rpc_unpack(&ttrpc__request__descriptor, &arena, frame->data, frame->size);

	check(env != NULL);
	check_str(env->service, "grpc.AgentService");
	check_str(env->method, "GetGuestDetails");
	check_int(frame->type, TTRPC_REQUEST);
	++*(int *)data;
	return 0;
}

TEST(recorded_frame)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct ttrpc_parser p = {0};
	int frames = 0;

	check_int(
	    fs_read_file(AT_FDCWD, "tests/data/kata-wire/frame_guest_details.bin", 1000, &b, NULL),
	    0);
	check_int(ttrpc_parser_feed(&p, b.data, b.size, keep_frame, &frames), 0);
	check_int(frames, 1);
	ttrpc_parser_free(&p);
}

TEST_MAIN()
