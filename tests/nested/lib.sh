# SPDX-License-Identifier: Apache-2.0
# What steps share. Guests print to the file `out`, the VMM to `err`.

# run_vm OPTION... KERNEL: in a jail, with a limit on its time.
run_vm() {
	vm-run --jail --stats --timeout 150s "$@" >out 2>err
	echo $? >status
	tr -d '\r' <out >out.text
}

# shown WORD...: for a step that fails.
shown() {
	tail -n 40 out.text
	cat err
	echo "$*"
	exit 1
}

# probe CPUS ENDS OPTION... KERNEL: boots Linux with the first process that looks at everything (tests/kernel/
# probe-init.c), an EROFS image as pmem and a disk; nothing may have failed, and the machine ENDS so.
probe() {
	cpus=$1 ends=$2
	shift 2
	run_vm --cpus "$cpus" --memory 192M --initrd /bin/probe.cpio --pmem /bin/probe.erofs --disk /bin/disk.ext4 "$@"
	grep -q '^probe end' out.text || shown "the guest did not come to its end"
	grep '^probe .* failed' out.text && shown "something failed in the guest"
	for what in pmem erofs-file-ext4 hwrng; do
		grep -q "^probe $what ok" out.text || shown "$what is not ok"
	done
	last=$((cpus - 1))
	[ $last -eq 0 ] || last=0-$last
	grep -q "^probe cpus ok $last" out.text || shown "not $cpus processors"
	case $(tail -n 1 err) in
	"vm-run: $ends"*) [ "$(cat status)" -eq 0 ] || shown "a wrong status" ;;
	*) shown "it did not end with $ends" ;;
	esac
	grep -E '^probe (start|cpus|clock|pmem)' out.text
	grep exits err
}

# flood SECONDS SEED: a hostile guest on every device. The VMM must be there at the end, able to say so, and no larger
# than the guest's 16 MiB and a few of its own.
flood() {
	rm -f vsock
	cp /bin/disk.ext4 disk
	vm-run --jail --stats --memory 16M --timeout "$1"s --pmem /bin/probe.erofs --disk disk --vsock vsock \
		--cmdline "seed=$2" /bin/flood.elf >out 2>err &
	most=0
	while kill -0 $! 2>/dev/null; do
		for p in $(ps -o pid,comm | awk '$2 == "vm-run" { print $1 }'); do
			now=$(awk '/^RssAnon/ { print $2 }' /proc/"$p"/status 2>/dev/null)
			[ "${now:-0}" -le $most ] || most=$now
		done
		sleep 1
	done
	wait $!
	echo "seed $2: $(tail -n 1 err); $(grep exits err); at most $most KiB"
	case $(tail -n 1 err) in
	'vm-run: failed: no end in time' | 'vm-run: reset'*) ;;
	*) cat err; exit 1 ;;
	esac
	[ "$most" -le 22528 ] || { echo "it grew"; exit 1; }
	[ "$(wc -c <out)" -lt 1000000 ] || { echo "it wrote too much"; exit 1; }
}
