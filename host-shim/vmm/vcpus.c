/* SPDX-License-Identifier: Apache-2.0 */
/* vcpus: the guest's processors, each on a thread of its own. */
#include "vcpus.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "host-shim/vmm/vcpu_exit.h"
#include "host-shim/vmm/x86_64/cpu.h"
#include "lib/base/cleanup.h"

/* Makes KVM_RUN return; the handler does nothing. */
#define KICK_SIGNAL SIGRTMIN

struct vcpu_call {
	void (*fn)(void *data);
	void *data;
	bool done, dropped;
	struct vcpu_call *next;
};

/* ---- calls */

/* Runs what waits; the lock is held, but not while the functions run. At most one call a
 * processor: guests that call without end must not keep the loop from its other sources. */
static void run_calls(struct vcpus *all)
{
	struct vcpu_call *c;

	for (unsigned int i = 0; i < all->n && (c = all->calls); i++) {
		all->calls = c->next;
		if (!all->calls)
			all->calls_end = &all->calls;
		pthread_mutex_unlock(&all->lock);
		c->fn(c->data);
		pthread_mutex_lock(&all->lock);
		c->done = true;
		pthread_cond_broadcast(&all->changed);
	}
}

bool vcpus_call(void *data, void (*fn)(void *data), void *fn_data)
{
	struct vcpus *all = data;
	struct vcpu_call c = {.fn = fn, .data = fn_data};

	if (pthread_equal(pthread_self(), all->device_thread)) {
		fn(fn_data);
		return true;
	}
	pthread_mutex_lock(&all->lock);
	if (!all->stop) {
		*all->calls_end = &c;
		all->calls_end = &c.next;
		loop_event_signal(all->wake_fd);
		pthread_cond_broadcast(&all->changed);
		while (!c.done && !c.dropped)
			pthread_cond_wait(&all->changed, &all->lock);
	}
	pthread_mutex_unlock(&all->lock);
	return c.done;
}

void vcpus_report(struct vcpus *all, enum vcpu_event event, uint64_t value, const char *text)
{
	pthread_mutex_lock(&all->lock);
	if (all->event == VCPU_EVENT_NONE) {
		all->event = event;
		all->event_value = value;
		snprintf(all->event_text, sizeof(all->event_text), "%s", text ? text : "");
		__atomic_store_n(&all->pause, true, __ATOMIC_SEQ_CST);
		loop_event_signal(all->wake_fd);
	}
	pthread_mutex_unlock(&all->lock);
}

static void on_wake(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vcpus *all = data;
	bool event;

	if (!loop_event_take(fd))
		return;
	pthread_mutex_lock(&all->lock);
	run_calls(all);
	event = all->event != VCPU_EVENT_NONE;
	pthread_mutex_unlock(&all->lock);
	if (event && all->on_event)
		all->on_event(all->event_data);
}

/* ---- a processor's thread */

/* Waits while the machine is paused; false: it ends. */
static bool may_run(struct vcpu *v)
{
	struct vcpus *all = v->all;
	bool go;

	pthread_mutex_lock(&all->lock);
	while (all->pause && !all->stop) {
		if (!v->parked) {
			v->parked = true;
			pthread_cond_broadcast(&all->changed);
		}
		pthread_cond_wait(&all->changed, &all->lock);
	}
	v->parked = false;
	go = !all->stop;
	if (go)
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&all->lock);
	return go;
}

static bool is_wanted(struct vcpus *all)
{
	return __atomic_load_n(&all->pause, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&all->stop, __ATOMIC_SEQ_CST);
}

static void *run_vcpu(void *data)
{
	struct vcpu *v = data;
	bool stood = false;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", v->id);
	prctl(PR_SET_NAME, name);
	if (v->all->enter && v->all->enter(v->all->enter_data) < 0)
		vcpus_report(v->all, VCPU_EVENT_FAILED, 0,
		             "a processor's thread could not be jailed");
	while (may_run(v)) {
		/* For the guest's watchdogs; refused where it has no such clock. */
		if (stood)
			ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
		stood = true;
		while (!is_wanted(v->all)) {
			int r = ioctl(v->fd, KVM_RUN, 0);

			vcpu_exit(v, r < 0 ? errno : 0);
		}
	}
	return NULL;
}

static void kick(struct vcpu *v)
{
	/* Whichever comes first: before KVM_RUN the flag, inside it the signal. */
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, KICK_SIGNAL);
}

static void nothing(int signo)
{
}

/* Only the kick reaches a processor's thread. */
static int start_thread(struct vcpu *v, struct error *err)
{
	pthread_attr_t attr;
	sigset_t mask, old;
	int r;

	sigfillset(&mask);
	sigdelset(&mask, KICK_SIGNAL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	r = pthread_create(&v->thread, &attr, run_vcpu, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_errno(err, r, "starting the thread of processor %u", v->id);
	v->started = true;
	return 0;
}

/* ---- life */

static int make_vcpu(struct vcpu *v, struct vcpus *all, unsigned int id, struct error *err)
{
	v->all = all;
	v->id = id;
	v->fd = kvm_ioctl(all->kvm->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
	if (v->fd < 0)
		return error_errno(err, errno, "making processor %u", id);
	v->run = mmap(NULL, all->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return error_errno(err, errno, "mapping processor %u", id);
	}
	return cpu_setup(all->kvm, v->fd, id, all->n, all->model, err);
}

int vcpus_init(struct vcpus *all, struct loop *loop, unsigned int n, struct error *err)
{
	struct sigaction sa = {.sa_handler = nothing};
	int r;

	all->device_thread = pthread_self();
	all->calls_end = &all->calls;
	__atomic_store_n(&all->pause, true, __ATOMIC_SEQ_CST);
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	for (unsigned int i = 0; i < n; i++)
		all->v[i].fd = -1;
	sigaction(KICK_SIGNAL, &sa, NULL);
	all->n = n;
	all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->wake_fd < 0)
		return error_errno(err, errno, "making an eventfd");
	r = loop_add_fd(loop, all->wake_fd, EPOLLIN, on_wake, all, &all->wake, err);
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = make_vcpu(&all->v[i], all, i, err);
	return r;
}

int vcpus_set_entry(struct vcpus *all, const struct load_entry *entry, struct error *err)
{
	return cpu_set_entry(all->v[0].fd, entry, err);
}

int vcpus_start(struct vcpus *all, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < all->n && r == 0; i++)
		r = start_thread(&all->v[i], err);
	if (r == 0)
		vcpus_resume(all);
	return r;
}

static bool all_parked(const struct vcpus *all)
{
	for (unsigned int i = 0; i < all->n; i++)
		if (all->v[i].started && !all->v[i].parked)
			return false;
	return true;
}

void vcpus_pause(struct vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	__atomic_store_n(&all->pause, true, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < all->n; i++)
		if (all->v[i].started)
			kick(&all->v[i]);
	while (!all_parked(all)) {
		run_calls(all);
		if (!all_parked(all) && !all->calls)
			pthread_cond_wait(&all->changed, &all->lock);
	}
	pthread_mutex_unlock(&all->lock);
}

void vcpus_resume(struct vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	if (all->event == VCPU_EVENT_NONE)
		__atomic_store_n(&all->pause, false, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

/* KVM takes the answer to an exit when it runs the processor again (api.rst, KVM_RUN). */
int vcpus_settle(struct vcpus *all, unsigned int id, struct error *err)
{
	struct vcpu *v = &all->v[id];

	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (ioctl(v->fd, KVM_RUN, 0) == 0 || errno != EINTR)
		return error_set(err, EBUSY, "processor %u has not finished its last exit", id);
	return 0;
}

static void stop_threads(struct vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	__atomic_store_n(&all->stop, true, __ATOMIC_SEQ_CST);
	for (struct vcpu_call *c = all->calls; c; c = c->next)
		c->dropped = true;
	all->calls = NULL;
	all->calls_end = &all->calls;
	pthread_cond_broadcast(&all->changed);
	for (unsigned int i = 0; i < all->n; i++)
		if (all->v[i].started)
			kick(&all->v[i]);
	pthread_mutex_unlock(&all->lock);
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->v[i].started)
			pthread_join(all->v[i].thread, NULL);
		all->v[i].started = false;
	}
}

void vcpus_free(struct vcpus *all)
{
	if (all->n == 0)
		return;
	stop_threads(all);
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->v[i].run)
			munmap(all->v[i].run, all->kvm->run_size);
		close_fd(&all->v[i].fd);
	}
	loop_source_free(all->wake);
	close_fd(&all->wake_fd);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	all->calls_end = NULL;
	all->n = 0;
}
