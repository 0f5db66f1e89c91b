// SPDX-License-Identifier: MIT
//
// Schedule points and decisions: the hot path, a few tens of nanoseconds a point. Deciding happens on the host stack, not
// because of libc, but because the kernel measures how deep its stacks were used, and prints it: what a point leaves on a
// kernel stack must be the same whether the policy decides, a log is replayed or written, or inputs are served.
#include "sim_impl.h"

#define POLLS_MAX (1u << 20)

void sim_cpu_state_set(struct sim_cpu *cpu, enum sim_cpu_state state)
{
	struct tb_sim *sim = cpu->instance->sim;
	sim_set_remove(&sim->ready, cpu->id);
	sim_set_remove(&sim->spinning, cpu->id);
	cpu->state = state;
	if (state == SIM_CPU_READY)
		sim_set_add(&sim->ready, cpu->id);
	else if (state == SIM_CPU_SPIN)
		sim_set_add(&sim->spinning, cpu->id);
}

void sim_stop(struct tb_sim *sim, enum sim_stop_cause cause, uint64_t a, uint64_t b)
{
	if (sim->stop.cause != SIM_STOP_NOT)
		return;
	sim->stop = (struct sim_stop){cause, sim->decisions, a, b};
	sim_attend(sim, SIM_ATTEND_STOP);
}

// Spinning CPUs whose word has changed, or that have an interrupt to take, go on.
static void spinning_look(struct tb_sim *sim)
{
	uint32_t id = sim_set_from(&sim->spinning, 0);
	for (; id != SIM_CPU_NONE; id = sim_set_from(&sim->spinning, id + 1)) {
		struct sim_cpu *cpu = sim->cpus[id];
		bool changed = __atomic_load_n(cpu->spin_word, __ATOMIC_RELAXED) != cpu->spin_seen;
		if (changed || (cpu->pending != 0 && cpu->irq_off == 0))
			sim_cpu_state_set(cpu, SIM_CPU_READY);
	}
}

static void decision_hash(struct tb_sim *sim, uint32_t kind, uint32_t from, uint32_t to)
{
	uint64_t passed_ns = sim->now_ns - sim->hashed_ns;
	bool wide = passed_ns >= UINT32_MAX;
	uint64_t time = wide ? UINT32_MAX : passed_ns;
	sim_hash_word(&sim->hash, kind | (uint64_t)(from & 0xfff) << 8 | (uint64_t)(to & 0xfff) << 20 | time << 32);
	if (host_unlikely(wide))
		sim_hash_word(&sim->hash, sim->now_ns);
	sim->hashed_ns = sim->now_ns;
}

// False when the world had to be stopped instead.
static bool decide(struct tb_sim *sim, uint32_t kind, uint32_t *chosen)
{
	uint32_t from = sim->running != NULL ? sim->running->id : SIM_CPU_NONE;
	uint32_t to;
	if (host_unlikely(sim->replay != NULL))
		to = sim_replay_pick(sim, kind);
	else
		to = sim_policy_pick(&sim->policy, &sim->ready, from, kind == HAL_POINT_RELAX);
	if (host_unlikely(to == SIM_CPU_NONE))
		return false;
	decision_hash(sim, kind, from, to);
	if (host_unlikely(sim->recorder != NULL))
		sim_record_decision(sim, kind, to != sim->last, to);
	++sim->decisions;
	sim->switches += to != sim->last;
	sim->last = to;
	*chosen = to;
	return host_likely(sim->replay == NULL) || sim_replay_check(sim);
}

struct sim_cpu *sim_choose(struct tb_sim *sim, uint32_t kind)
{
	uint32_t chosen;
	for (;;) {
		if (host_unlikely(sim->now_ns >= sim->next_due_ns))
			sim_due_run(sim);
		if (host_unlikely(__atomic_load_n(&sim->attention, __ATOMIC_ACQUIRE) != 0))
			return NULL;
		if (host_unlikely(sim->spinning.count != 0))
			spinning_look(sim);
		if (host_likely(sim->ready.count != 0))
			break;
		sim_due_advance(sim);
	}
	return decide(sim, kind, &chosen) ? sim->cpus[chosen] : NULL;
}

// A CPU that only polls, for long, while nothing is under way that could end it, or time stands still: nobody would ever notice.
static void polls_count(struct tb_sim *sim, uint32_t kind)
{
	if (kind == HAL_POINT_ATOMIC)
		return;
	sim->polls = kind == HAL_POINT_RELAX ? sim->polls + 1 : 0;
	if (host_likely(sim->polls < POLLS_MAX))
		return;
	sim->polls = 0;
	if (sim->stepped || sim_due_next(sim) == TB_FOREVER)
		sim_attend(sim, SIM_ATTEND_STUCK);
}

// Who has polled for long looks ever more rarely, as a real loop would with a growing pause: up to 64 times the cost.
static void point_pay(struct tb_sim *sim, uint32_t kind)
{
	uint32_t shift = kind == HAL_POINT_RELAX ? sim->polls / 64 : 0;
	sim_spend(sim, (uint64_t)sim_cost_draw(&sim->costs, kind) << (shift < 6 ? shift : 6));
	polls_count(sim, kind);
}

struct point {
	struct tb_sim *sim;
	uint32_t kind;
	bool paid;
	struct sim_cpu *next; // NULL: the driver leaves first
};

static void point_on_host(void *arg)
{
	struct point *point = arg;
	struct tb_sim *sim = point->sim;
	if (!point->paid)
		point_pay(sim, point->kind);
	point->paid = true;
	do
		point->next = sim_choose(sim, point->kind);
	while (point->next == NULL && !sim_attention_serve(sim));
}

// Masked for the time of a call to the host stack or a leave.
static void point_run(struct point *point, struct hal_thread *self)
{
	uint32_t was = self->irq_off;
	self->irq_off = 1;
	host_stack_call(point_on_host, point);
	while (point->next == NULL) {
		host_context_leave(self, point->sim->driver);
		host_stack_call(point_on_host, point);
	}
	self->irq_off = was;
}

void sim_point(struct tb_sim *sim, uint32_t kind)
{
	struct point point = {.sim = sim, .kind = kind};
	struct sim_cpu *cpu = sim->running;
	struct hal_thread *self = hal_self();
	cpu->thread = self;
	cpu->irq_off = self->irq_off;
	point_run(&point, self);
	if (point.next == cpu)
		return;
	sim->running = point.next;
	sim->driver->instance = point.next->instance->host;
	sim->driver->cpu = point.next->index;
	hal_context_switch(self, point.next->thread);
}

// The upcall may switch threads, so that this stack goes on on another CPU: look again.
void sim_interrupts_take(struct tb_sim *sim)
{
	struct hal_thread *self = hal_self();
	while (self->irq_off == 0 && sim->running->pending != 0) {
		struct sim_cpu *cpu = sim->running;
		uint32_t causes = cpu->pending;
		cpu->pending = 0;
		self->irq_off = 1;
		++sim->interrupts;
		sim_hash_head(&sim->hash, SIM_HASH_IRQ, cpu->id, causes);
		sim_point(sim, HAL_POINT_IRQ);
		cpu->instance->host->upcalls->irq(causes);
		self->irq_off = 0;
	}
}
