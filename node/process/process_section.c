/* process_section.c - section "process", written and checked. */
#include "node/process/process_section.h"

#include "base/pack.h"
#include "node/sockets/socket.h"
#include "node/text.h"

#include <stdlib.h>
#include <string.h>

enum { SECTION_VERSION = 5, SECTION_FIELDS = 19 };

static const char headless[] = "headless";

/* Which screen is the business of the device it is on; that there be none is the process's own. */
static bool is_headless(const struct process *p)
{
	return p->display.display && !strcmp(p->display.display, headless);
}

/*	[version, pid, uid, epoch, name, [argument...], parent, created unix ms, cpu ns, begun, frame hash, unpaced,
 *	 checkpoint seconds,
 *	 headless, controls, network's mode, its key, its home, terminal] */
enum err process_section_save(struct process *p, struct wr *out)
{
	pack_array(out, SECTION_FIELDS);
	pack_u64(out, SECTION_VERSION);
	pack_u64(out, p->pid);
	pack_bin(out, p->uid, sizeof p->uid);
	pack_u64(out, p->epoch);
	pack_text(out, p->name);
	pack_array(out, p->argc);
	for (uint32_t i = 0; i < p->argc; i++)
		pack_text(out, p->argv[i]);
	pack_u64(out, p->parent);
	pack_i64(out, p->created_unix_ms);
	pack_u64(out, process_cpu_ns(p));
	pack_bool(out, p->begun);
	pack_bool(out, p->display.frame_hash);
	pack_bool(out, p->display.unpaced);
	pack_u64(out, p->checkpoint_s);
	pack_bool(out, is_headless(p));
	pack_bool(out, atomic_load(&p->controls));
	pack_u64(out, p->net_mode);
	pack_bin(out, p->net_key, sizeof p->net_key);
	pack_bin(out, p->net_home, sizeof p->net_home);
	return tty_save(p->tty, out);
}

static enum err load_args(struct rd *in, struct process *p)
{
	uint32_t count;
	size_t total = 0;
	TRY(unpack_array(in, PROCESS_ARGS_MAX, &count));
	p->argv = calloc(count + 1, sizeof *p->argv);
	if (!p->argv)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const char *text;
		size_t size;
		TRY(unpack_str(in, PROCESS_ARGS_BYTES_MAX - total, &text, &size));
		if (memchr(text, 0, size))
			return ERR_MALFORMED;
		p->argv[i] = text_copy(text, size);
		if (!p->argv[i])
			return ERR_NOMEM;
		total += size;
		p->argc = i + 1;
	}
	return ERR_OK;
}

static enum err load_fields(struct rd *in, struct process *p)
{
	uint32_t count, version;
	TRY(unpack_array(in, SECTION_FIELDS, &count));
	TRY(unpack_u32(in, &version));
	if (count != SECTION_FIELDS || version != SECTION_VERSION)
		return ERR_UNSUPPORTED;
	TRY(unpack_u32(in, &p->pid));
	TRY(unpack_fixed(in, p->uid, sizeof p->uid));
	TRY(unpack_u64(in, &p->epoch));
	TRY(unpack_text(in, p->name, sizeof p->name));
	TRY(load_args(in, p));
	TRY(unpack_u32(in, &p->parent));
	TRY(unpack_i64(in, &p->created_unix_ms));
	TRY(unpack_u64(in, &p->cpu_ns_before));
	TRY(unpack_bool(in, &p->begun));
	TRY(unpack_bool(in, &p->display.frame_hash));
	TRY(unpack_bool(in, &p->display.unpaced));
	TRY(unpack_u32(in, &p->checkpoint_s));
	if (p->checkpoint_s > PROCESS_CHECKPOINT_DEFAULT)
		return ERR_INVALID;
	bool none;
	TRY(unpack_bool(in, &none));
	bool controls;
	TRY(unpack_bool(in, &controls));
	atomic_store(&p->controls, controls);
	uint32_t mode;
	TRY(unpack_u32(in, &mode));
	TRY(unpack_fixed(in, p->net_key, sizeof p->net_key));
	TRY(unpack_fixed(in, p->net_home, sizeof p->net_home));
	if (mode >= NET_MODES)
		return ERR_INVALID;
	p->net_mode = (uint8_t)mode;
	p->display.display = none ? headless : NULL;
	return p->pid && p->pid <= PROCESS_PID_MAX && p->name[0] ? ERR_OK : ERR_INVALID;
}

enum err process_section_load(struct rd in, const struct tty_hooks *hooks, struct process *p,
                              struct errmsg *msg)
{
	enum err e = load_fields(&in, p);
	if (e != ERR_OK)
		return err_set(msg, e, "section process at byte %zu of %zu: %s", rd_offset(&in),
		               (size_t)(in.end - in.start), err_text(e));
	e = tty_load(&in, hooks, &p->tty, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "section process");
	if (rd_left(&in))
		return err_set(msg, ERR_MALFORMED, "section process: %zu bytes too many",
		               rd_left(&in));
	return ERR_OK;
}
