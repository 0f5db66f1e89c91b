// SPDX-License-Identifier: MIT
//
// The rough clock: between two looks at CLOCK_MONOTONIC a CPU adds up the processor's ticks (hal/clock_hosted.h). That saves a
// switch the fence, which waits for all earlier loads, and the call. Only accounts use it: timers, deadlines and
// hal_clock_mono_ns() stay on the host's clock, because nothing of ours can be as exact as what the timers expire on.
//
// May it be used? The host itself must take its time from the ticks (clocksource tsc or kvm-clock), and the processor say that it
// counts them at one rate. How many there are to a nanosecond is measured over windows of at least 10 ms, for the whole process,
// and believed when two windows in a row agree within 1/4096; when a later one does not (a suspended machine, a clock that is slewed
// hard), every CPU looks each time until two agree again. So a CPU is off by what it read wrongly at its last look, at most half
// of LOOK_TICKS, and by 1/4096 of its reach of 250 us. Each look tells how far off the ticks were: when they are caught three
// times (processors that count differently), they are not used again.
#include "thr_impl.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#define WINDOW_NS 10000000u
#define REACH_NS 250000u
#define LOOK_TICKS 1024u
#define AGREE_SHIFT 12
#define LEAF_POWER 0x80000007u // edx bit 8: the ticks never stop or change their rate
#define STRIKES 3u

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t good;         // atomic: the ticks may be used
static uint32_t busy;         // atomic: somebody measures
static uint64_t scale;        // atomic: ns per 2^32 ticks, 0: not known
static uint64_t scale_before; // this and the others under `busy`: of the last window
static uint64_t anchor_ticks; // where the present one began
static uint64_t anchor_ns;
static uint32_t caught;

// ---- may it be used at all --------------------------------------------------------------------------------------------

static bool host_counts_ticks(void)
{
	char name[16] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	return strcmp(name, "tsc\n") == 0 || strcmp(name, "kvm-clock\n") == 0;
}

static void good_find(void)
{
	uint32_t eax, ebx, ecx, edx;
	int mode = PR_TSC_SIGSEGV;
	good = prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE &&
	       __get_cpuid(LEAF_POWER, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 8 & 1u) != 0 && host_counts_ticks();
}

void thr_clock_prepare(void)
{
	pthread_once(&once, good_find);
}

// ---- how many there are -----------------------------------------------------------------------------------------------

static bool agrees(uint64_t a, uint64_t b)
{
	uint64_t apart = a > b ? a - b : b - a;
	return apart <= a >> AGREE_SHIFT;
}

// A window has ended. Beyond what four bytes hold the processor would be slower than 1 GHz: not worth the care.
static void window_end(uint64_t ticks, uint64_t now_ns)
{
	unsigned __int128 measured = (unsigned __int128)(now_ns - anchor_ns) << 32;
	measured /= ticks - anchor_ticks;
	uint64_t found = measured > UINT32_MAX ? 0 : (uint64_t)measured;
	__atomic_store_n(&scale, agrees(found, scale_before) ? found : 0, __ATOMIC_RELAXED);
	scale_before = found;
	anchor_ticks = ticks;
	anchor_ns = now_ns;
}

static void window_begin(uint64_t ticks, uint64_t now_ns)
{
	__atomic_store_n(&scale, 0, __ATOMIC_RELAXED);
	scale_before = 0;
	anchor_ticks = ticks;
	anchor_ns = now_ns;
}

static void window_look(uint64_t ticks, uint64_t now_ns, bool lied)
{
	if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0)
		return;
	if (lied && ++caught == STRIKES)
		__atomic_store_n(&good, 0, __ATOMIC_RELAXED);
	if (lied || anchor_ns == 0 || ticks <= anchor_ticks)
		window_begin(ticks, now_ns);
	else if (now_ns >= anchor_ns + WINDOW_NS)
		window_end(ticks, now_ns);
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

// ---- looking ----------------------------------------------------------------------------------------------------------

static uint64_t ticks_in_order(void)
{
	_mm_lfence();
	return __rdtsc();
}

// Whether the time that the CPU would have told, had its reach been twice as long, is wrong.
static bool ticks_lie(const struct hal_cpu *cpu, uint64_t ticks, uint64_t now_ns)
{
	int64_t passed = (int64_t)(ticks - cpu->clock_ticks);
	if (passed >= 2 * (int64_t)cpu->clock_reach)
		return false;
	int64_t apart_ns = (int64_t)(cpu->clock_ns + ((uint64_t)passed * cpu->clock_scale >> 32) - now_ns);
	return passed < 0 || apart_ns > (int64_t)HAL_CLOCK_ROUGH_NS || apart_ns < -(int64_t)HAL_CLOCK_ROUGH_NS;
}

uint64_t thr_clock_look_ns(struct tb_instance *instance)
{
	if (__atomic_load_n(&good, __ATOMIC_RELAXED) == 0)
		return thr_clock_ns(instance);
	uint64_t before = ticks_in_order();
	uint64_t now_ns = host_clock_mono_ns();
	uint64_t taken = ticks_in_order() - before;
	uint64_t own_ns = now_ns - instance->clock_base_ns;
	if (taken > LOOK_TICKS) // the host had other business meanwhile
		return own_ns;
	struct hal_cpu *cpu = hal_self()->cpu;
	uint64_t ticks = before + taken / 2;
	host_critical_begin();
	window_look(ticks, now_ns, cpu->clock_reach != 0 && ticks_lie(cpu, ticks, own_ns));
	host_critical_end();
	cpu->clock_ticks = ticks;
	cpu->clock_ns = own_ns;
	cpu->clock_scale = __atomic_load_n(&scale, __ATOMIC_RELAXED);
	cpu->clock_reach = cpu->clock_scale == 0 ? 0 : (uint32_t)(((uint64_t)REACH_NS << 32) / cpu->clock_scale);
	return own_ns;
}

#else

void thr_clock_prepare(void)
{
}

uint64_t thr_clock_look_ns(struct tb_instance *instance)
{
	return thr_clock_ns(instance);
}

#endif
