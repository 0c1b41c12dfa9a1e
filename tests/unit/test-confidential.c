/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a confidential launch: the text, the host that is asked, QEMU's command line. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "host-shim/hypervisor/confidential.h"
#include "host-shim/hypervisor/qemu_args.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

static struct confidential *parsed(const char *text)
{
	struct confidential *c = NULL;
	struct error err = ERROR_INIT;

	check_ok(confidential_parse(text, &c, &err), &err);
	return c;
}

/* One line that has `word`. */
static void refused(const char *text, enum error_kind kind, const char *word)
{
	struct confidential *c = NULL;
	struct error err = ERROR_INIT;

	check(confidential_parse(text, &c, &err) < 0);
	check(!c);
	check_int(err.kind, kind);
	check(strstr(err.text, word));
	check(!strchr(err.text, '\n'));
}

TEST(defaults_of_each_kind)
{
	struct confidential *c = parsed("sev-snp,firmware=a,,b.fd");

	check_str(confidential_name(c), "sev-snp");
	check_str(c->firmware, "a,b.fd");
	check_str(c->cpu, "EPYC-v4");
	check(c->policy == 0x30000 && !c->no_hashes && c->reduced_phys_bits == 1);
	check(!c->host_data && !c->id_block && !c->author_key);
	confidential_free(c);
	c = parsed("sev,firmware=f,kernel-hashes=off,policy=0x5,cbitpos=47,reduced-phys-bits=5");
	check(!c->cpu && c->policy == 5 && c->no_hashes && c->reduced_phys_bits == 5);
	check_int(confidential_cbitpos(c), 47);
	confidential_free(c);
	c = parsed("tdx,quote-socket=vsock:2:4050,firmware=f,cpu=SapphireRapids-v2");
	check(c->policy == 0);
	check_str(c->quote_socket, "vsock:2:4050");
	check_str(c->cpu, "SapphireRapids-v2");
	confidential_free(c);
	confidential_free(NULL);
}

TEST(what_is_no_launch_is_refused)
{
	const char *hex32 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char *short_data = str_printf("sev-snp,firmware=f,host-data=%.62s", hex32);
	char *wrong_kind = str_printf("tdx,firmware=f,host-data=%s", hex32);

	refused("", ERROR_USAGE, "sev-snp and tdx");
	refused("sgx,firmware=f", ERROR_USAGE, "sgx");
	refused("sev-snp", ERROR_USAGE, "firmware=FILE");
	refused("sev-snp,firmware=", ERROR_USAGE, "missing");
	refused("sev-snp,firmware", ERROR_USAGE, "missing");
	refused("sev-snp,,firmware=f", ERROR_USAGE, "sev-snp,firmware=f");
	refused("sev-snp,firmware=f,firmware=g", ERROR_USAGE, "twice");
	refused("sev-snp,firmware=f,fimware=g", ERROR_USAGE, "fimware");
	refused("sev-snp,firmware=f,policy=0x10000", ERROR_USAGE, "bit 17");
	refused("sev-snp,firmware=f,policy=3", ERROR_USAGE, "0x");
	refused("sev-snp,firmware=f,policy=0x1ffffffffffffffff", ERROR_USAGE, "0x");
	refused("sev,firmware=f,policy=0x100000001", ERROR_USAGE, "32 bits");
	refused("sev,firmware=f,cbitpos=0", ERROR_USAGE, "63");
	refused("sev,firmware=f,cbitpos=64", ERROR_USAGE, "63");
	refused("sev,firmware=f,kernel-hashes=yes", ERROR_USAGE, "on or off");
	refused("sev,firmware=f,session-file=s", ERROR_USAGE, "together");
	refused("sev-snp,firmware=f,author-key=on", ERROR_USAGE, "together");
	refused("sev-snp,firmware=f,cpu=host,,+x", ERROR_USAGE, "processor");
	refused("tdx,firmware=f,policy=0x1", ERROR_USAGE, "changes nothing with tdx");
	refused("tdx,firmware=f,quote-socket=vsock:2", ERROR_USAGE, "quote-socket");
	refused("tdx,firmware=f,quote-socket=vsock:2:x", ERROR_USAGE, "quote-socket");
	refused("tdx,firmware=f,quote-socket=unix:", ERROR_USAGE, "quote-socket");
	refused(short_data, ERROR_USAGE, "64 hexadecimal");
	refused(wrong_kind, ERROR_USAGE, "changes nothing");
	refused("sev-snp,firmware=f,id-block=/nonexistent,id-auth=/nonexistent", ERROR_ENVIRONMENT,
	        "id-block");
	free(short_data);
	free(wrong_kind);
}

static void put(const char *root, const char *name, const char *text)
{
	char *path = str_printf("%s/%s", root, name), *slash = strrchr(path, '/');

	*slash = '\0';
	check(fs_mkdir_p(path, 0755, NULL) >= 0);
	*slash = '/';
	check_int(fs_write_file_atomic(path, text, strlen(text), 0644, NULL), 0);
	free(path);
}

/* A host without such guests is told apart before anything starts. */
TEST(the_host_is_asked)
{
	const char *root = check_tmpdir();
	struct confidential *snp = parsed("sev-snp,firmware=f"), *tdx = parsed("tdx,firmware=f");
	struct error err = ERROR_INIT;

	check_int(confidential_check_host(snp, root, &err), -ENOTSUP);
	check_int(err.kind, ERROR_ENVIRONMENT);
	check(strstr(err.text, "sev_snp: No such file"));
	put(root, "sys/module/kvm_amd/parameters/sev_snp", "N\n");
	check_int(confidential_check_host(snp, root, &err), -ENOTSUP);
	check(strstr(err.text, "it is off"));
	put(root, "sys/module/kvm_amd/parameters/sev_snp", "");
	check_int(confidential_check_host(snp, root, &err), -ENOTSUP);
	put(root, "sys/module/kvm_amd/parameters/sev_snp", "Y\n");
	check_int(confidential_check_host(snp, root, &err), -ENOTSUP);
	check(strstr(err.text, "dev/sev: No such file"));
	put(root, "dev/sev", "");
	check_ok(confidential_check_host(snp, root, &err), &err);
	check_int(confidential_check_host(tdx, root, &err), -ENOTSUP);
	put(root, "sys/module/kvm_intel/parameters/tdx", "Y\n");
	check_ok(confidential_check_host(tdx, root, &err), &err);
	confidential_free(snp);
	confidential_free(tdx);
}

/* QEMU's words for the launch; the rest is in test-hypervisor. */
static char *line(const char *text)
{
	struct confidential *c = parsed(text);
	struct hypervisor_config config = {.accel = ACCEL_KVM,
	                                   .cpus = 4,
	                                   .memory = 2048ull << 20,
	                                   .kernel = "bzImage",
	                                   .rootfs = "/dev/null",
	                                   .root_words_blk = "root=/dev/dm-0",
	                                   .cmdline = "quiet",
	                                   .confidential = c};
	struct qemu_start s = {.vsock = 4, .exit_port = -1, .console = 3, .disks = 5};
	struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;
	char *all = strdup("");

	check_ok(qemu_args(&args, &config, &s, &err), &err);
	for (size_t i = 0; i < args.n; i++) {
		char *more = str_printf("%s%s ", all, args.v[i]);

		free(all);
		all = more;
	}
	strv_free(&args);
	confidential_free(c);
	return all;
}

TEST(qemu_is_told_of_sev_snp)
{
	const char *dir = check_tmpdir();
	char zeros[4096] = {0}, *block = str_printf("%s/block", dir),
	     *auth = str_printf("%s/auth", dir), *text, *all;

	/* As a tool writes it: the bytes, or base64 in lines. */
	check_int(fs_write_file_atomic(auth, zeros, sizeof(zeros), 0644, NULL), 0);
	check_int(fs_write_file_atomic(block,
	                               "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj\n"
	                               "JCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZH\n"
	                               "SElKS0xNTk9QUVJTVFVWV1hZWltcXV5f\n",
	                               131, 0644, NULL),
	          0);
	text = str_printf("sev-snp,firmware=OVMF.fd,cpu=EPYC-Milan,policy=0x30000,cbitpos=51,"
	                  "host-data=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"
	                  "1f,id-block=%s,id-auth=%s,author-key=on",
	                  block, auth);
	all = line(text);
	check(strstr(all, "-machine q35,usb=off,smbus=off,sata=off,vmport=off,hpet=off,smm=off,"
	                  "memory-backend=ram,confidential-guest-support=cgs "));
	check(strstr(all, "-accel kvm -cpu EPYC-Milan -smp 4 -m 2048M "));
	check(strstr(all, "-object memory-backend-memfd,id=ram,size=2048M,share=on "));
	check(strstr(all, "-bios OVMF.fd -object sev-snp-guest,id=cgs,cbitpos=51,"
	                  "reduced-phys-bits=1,policy=0x30000,kernel-hashes=on,"
	                  "host-data=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,"
	                  "id-block=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj"
	                  "JCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZH"
	                  "SElKS0xNTk9QUVJTVFVWV1hZWltcXV5f,id-auth=AAAA"));
	check(strstr(all, "AA==,author-key-enabled=on -kernel bzImage -append console=ttyS0 "
	                  "panic=-1 noreplace-smp root=/dev/dm-0 quiet "));
	/* The root is not mapped into private memory. */
	check(strstr(all, "-device virtio-blk-pci,drive=root "));
	check(!strstr(all, "pmem"));
	check(!strstr(all, "tsc"));
	free(all);
	free(text);
	check_int(fs_write_file_atomic(auth, zeros, 4095, 0644, NULL), 0);
	text = str_printf("sev-snp,firmware=f,id-block=%s,id-auth=%s", block, auth);
	refused(text, ERROR_INPUT, "4096 bytes");
	free(text);
	free(block);
	free(auth);
}

TEST(qemu_is_told_of_sev_and_tdx)
{
	char *all = line("sev,firmware=a,,b,cbitpos=47,session-file=s,,1,dh-cert-file=d");

	check(strstr(all, "-bios a,b -object sev-guest,id=cgs,cbitpos=47,reduced-phys-bits=1,"
	                  "policy=0x1,kernel-hashes=on,session-file=s,,1,dh-cert-file=d "));
	check(strstr(all, ",confidential-guest-support=cgs -accel kvm -cpu host "));
	free(all);
	all = line("tdx,firmware=f,attributes=0x10000000,quote-socket=vsock:2:4050,mrowner="
	           "000000000000000000000000000000000000000000000000000000000000000000000000000000"
	           "000000000000000000");
	check(
	    strstr(all, "memory-backend=ram,kernel-irqchip=split,confidential-guest-support=cgs "));
	check(strstr(all, "-object tdx-guest,id=cgs,attributes=0x10000000,mrowner="
	                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,"
	                  "quote-generation-socket.type=vsock,quote-generation-socket.cid=2,"
	                  "quote-generation-socket.port=4050 "));
	free(all);
	all = line("tdx,firmware=f,quote-socket=unix:/run/q,,1");
	check(strstr(all, "-object tdx-guest,id=cgs,quote-generation-socket.type=unix,"
	                  "quote-generation-socket.path=/run/q,,1 "));
	free(all);
}

TEST(other_machines_and_kernels_are_refused)
{
	struct confidential *c = parsed("tdx,firmware=f");
	struct hypervisor_config config = {.accel = ACCEL_KVM,
	                                   .cpus = 1,
	                                   .memory = 64 << 20,
	                                   .kernel = "k",
	                                   .initrd = "i",
	                                   .lacks = HYPERVISOR_LACKS_PCI,
	                                   .confidential = c};
	struct qemu_start s = {.vsock = -1, .exit_port = -1};
	struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;

	check_int(qemu_args(&args, &config, &s, &err), -EINVAL);
	check(strstr(err.text, "PCI"));
	config.lacks = 0;
	config.machine = "microvm";
	check_int(qemu_args(&args, &config, &s, &err), -EINVAL);
	check(strstr(err.text, "q35"));
	strv_free(&args);
	confidential_free(c);
}

TEST_MAIN()
