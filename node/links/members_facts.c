/* members_facts.c - what this device says of itself, and which other one would do a program best. */
#include "node/links/devices.h"
#include "node/drivers/host.h"
#include "node/links/link_impl.h"
#include "node/links/members.h"

#include "base/os_battery.h"
#include "base/os_device.h"

#include <stdio.h>
#include <string.h>

enum { MEMORY_STEP_MIB = 64, LOAD_STEP = 5, LOW_BATTERY = 30, SPARE_MIB = 256 };

static uint8_t processor(void)
{
	uv_utsname_t u;
	if (uv_os_uname(&u) != 0)
		return FACTS_PROCESSOR_UNKNOWN;
	if (!strcmp(u.machine, "x86_64") || !strcmp(u.machine, "AMD64"))
		return FACTS_X86_64;
	if (!strcmp(u.machine, "aarch64") || !strcmp(u.machine, "arm64") ||
	    !strcmp(u.machine, "ARM64"))
		return FACTS_AARCH64;
	return FACTS_PROCESSOR_UNKNOWN;
}

/* Busy since the last call, in percent of all cores; 0 where the system does not say. */
static uint8_t load(struct load_meter *meter, uint8_t *cores)
{
	uv_cpu_info_t *all = NULL;
	int count = 0;
	struct load_meter now = {0};
	*cores = 0;
	if (uv_cpu_info(&all, &count) != 0)
		return 0;
	for (int i = 0; i < count; i++) {
		uint64_t busy = all[i].cpu_times.user + all[i].cpu_times.nice +
		                all[i].cpu_times.sys + all[i].cpu_times.irq;
		now.busy += busy;
		now.total += busy + all[i].cpu_times.idle;
	}
	uv_free_cpu_info(all, count);
	*cores = (uint8_t)(count < 255 ? count : 255);
	uint64_t total = now.total - meter->total, busy = now.busy - meter->busy;
	bool fits = now.total > meter->total && now.busy >= meter->busy && busy <= total;
	unsigned percent = fits ? (unsigned)(busy * 100 / total) : 0;
	*meter = now;
	return (uint8_t)((percent + LOAD_STEP / 2) / LOAD_STEP *
	                 LOAD_STEP); /* small changes are not worth telling */
}

static void memory(struct facts *f)
{
	struct os_memory now;
	if (!os_memory_now(&now))
		return;
	f->memory_mib = (uint32_t)(now.total_bytes >> 20);
	f->memory_free_mib =
	    (uint32_t)(now.available_bytes >> 20) / MEMORY_STEP_MIB * MEMORY_STEP_MIB;
}

static void battery(struct facts *f)
{
	struct os_battery now;
	if (!os_battery_now(&now))
		return;
	f->battery_percent = (uint8_t)((now.percent + LOAD_STEP / 2) / LOAD_STEP * LOAD_STEP);
	f->abilities |= now.on_mains ? FACTS_MAINS : 0;
}

static bool address_from_text(const char *text, struct facts_address *a)
{
	struct sockaddr_storage s;
	if (address_parse(text, &s) != ERR_OK)
		return false;
	bool v4 = s.ss_family == AF_INET;
	const struct sockaddr_in *four = (const void *)&s;
	const struct sockaddr_in6 *six = (const void *)&s;
	*a = (struct facts_address){.size = v4 ? 4 : 16,
	                            .port = ntohs(v4 ? four->sin_port : six->sin6_port)};
	memcpy(a->bytes, v4 ? (const void *)&four->sin_addr : (const void *)&six->sin6_addr,
	       a->size);
	return true;
}

void members_address_text(const struct facts_address *a, char out[LINK_ADDRESS_SIZE])
{
	struct sockaddr_storage s = {0};
	if (a->size == 4) {
		struct sockaddr_in *four = (struct sockaddr_in *)&s;
		four->sin_family = AF_INET;
		memcpy(&four->sin_addr, a->bytes, 4);
	} else {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&s;
		six->sin6_family = AF_INET6;
		memcpy(&six->sin6_addr, a->bytes, 16);
	}
	address_text((struct sockaddr *)&s, a->port, out);
}

void members_own_facts(struct node *n, struct load_meter *meter, struct facts *out)
{
	char addresses[FACTS_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	unsigned count = link_own_addresses(n, addresses, FACTS_ADDRESSES_MAX);
	*out = (struct facts){.battery_percent = FACTS_NO_BATTERY, .processor = processor()};
	out->load_percent = load(meter, &out->cores);
	memory(out);
	battery(out);
	bool headless = n->cfg.display && !strcmp(n->cfg.display, "headless");
	if (os_device_is_handheld()) /* its app shows what the node, headless by itself, runs */
		out->abilities |= FACTS_SCREEN | FACTS_SOUND | FACTS_TOUCH;
	else if (!headless && hosts_have_window())
		out->abilities |= FACTS_SCREEN | FACTS_SOUND | FACTS_KEYBOARD;
	for (unsigned i = 0; i < count; i++)
		out->address_count +=
		    address_from_text(addresses[i], &out->addresses[out->address_count]);
}

/* Idle cores, halved on a low battery; 0: not there, no room for the program, or no screen where it needs one. */
static unsigned score(const struct member_view *v, const struct members_need *need)
{
	const struct facts *f = &v->facts;
	if (v->state != MEMBER_ALIVE || !v->has_facts ||
	    f->memory_free_mib < SPARE_MIB + (need->memory_bytes >> 20) ||
	    (need->screen && !(f->abilities & FACTS_SCREEN)))
		return 0;
	unsigned idle = (f->cores ? f->cores : 1u) * (100u - f->load_percent) + 1;
	return f->battery_percent < LOW_BATTERY && !(f->abilities & FACTS_MAINS) ? idle / 2 + 1
	                                                                         : idle;
}

enum err members_best(struct node *n, const struct members_need *need, struct peer **out,
                      struct errmsg *msg)
{
	unsigned best = 0;
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		struct member_view v;
		if (!peer_is_up(p) || !devices_may_run(n, peer_id(p)) ||
		    !members_view(n, peer_id(p), &v))
			continue;
		unsigned is = score(&v, need);
		if (is > best) {
			best = is;
			*out = p;
		}
	}
	return best ? ERR_OK
	            : err_set(msg, ERR_NOTFOUND,
	                      "no device that can be reached has said that it has room%s: `wasmos "
	                      "peers` lists them, and one that is named takes it all the same",
	                      need->screen ? " and a screen" : "");
}
