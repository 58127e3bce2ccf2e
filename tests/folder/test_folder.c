/* test_folder.c - replicas of a folder that are written apart and then meet: each rule of folder/view.h, history, tombstones, records. */
#include "tests/folder/replicas.h"

#include <criterion/criterion.h>

struct pair {
	struct folder *a, *b;
};

/* Two replicas that both have the folders d and e and the file f. */
static struct pair two(void)
{
	struct pair p = {replica(1), replica(2)};
	put(p.a, "d", NULL, 1, 10);
	put(p.a, "e", NULL, 2, 10);
	put(p.a, "f", "old", 3, 10);
	put(p.a, "d/g", "in d", 4, 10);
	meet(p.a, p.b);
	cr_assert(look_the_same(p.a, p.b));
	return p;
}

static void met(struct pair *p)
{
	meet(p->a, p->b);
	cr_assert(look_the_same(p->a, p->b));
}

static void done(struct pair *p)
{
	folder_free(p->a);
	folder_free(p->b);
}

static unsigned conflicts(struct folder *f)
{
	struct conflict *list;
	uint32_t count;
	must(view_conflicts(f, &list, &count));
	conflicts_free(list);
	return count;
}

static bool is_past(struct folder *f, const char *text)
{
	struct chunk_addr addr = chunk_addr_of(text, strlen(text));
	for (uint32_t i = 0; i < folder_past_count(f); i++)
		if (chunk_addr_equal(&folder_past(f, i)->content.pieces->addr, &addr))
			return true;
	return false;
}

Test(folder, what_one_device_writes_the_other_has)
{
	struct pair p = two();
	put(p.b, "f", "new", 0, 20);
	must(mv(p.b, "d/g", "e/h", 21));
	must(rm(p.b, "d", 22));
	met(&p);
	cr_assert(says(p.a, "f", "new") && says(p.a, "e/h", "in d") && !is_there(p.a, "d"));
	cr_assert(is_past(p.a, "old") && is_past(p.b, "old"));
	cr_assert_eq(conflicts(p.a), 0);
	done(&p);
}

Test(folder, two_edits_of_one_file_are_both_kept_and_the_later_is_shown_on_both_devices)
{
	struct pair p = two();
	struct conflict c;
	put(p.a, "f", "by a", 0, 30);
	put(p.b, "f", "by b", 0, 20);
	met(&p);
	cr_assert(says(p.a, "f", "by a"));
	cr_assert(conflict_of(p.b, CONFLICT_EDIT, 0, &c));
	cr_assert_eq(c.dot.writer, 2);
	cr_assert_eq(c.stamp_ms, 20);
	struct chunk_addr addr = chunk_addr_of("by b", 4);
	cr_assert(chunk_addr_equal(&c.content->pieces->addr, &addr));
	cr_assert_eq(conflicts(p.b), 1);
	done(&p);
}

Test(folder, a_conflict_stays_when_the_shown_file_is_edited_renamed_or_deleted)
{
	struct pair p = two();
	struct conflict c;
	put(p.a, "f", "by a", 0, 30);
	put(p.b, "f", "by b", 0, 20);
	met(&p);
	put(p.b, "f", "later", 0, 40);
	must(mv(p.b, "f", "d/f", 41));
	met(&p);
	cr_assert(says(p.a, "d/f", "later") && conflict_of(p.a, CONFLICT_EDIT, 0, &c));
	cr_assert(is_past(p.a, "by a"));
	must(rm(p.a, "d/f", 50));
	met(&p);
	cr_assert(!is_there(p.b, "d/f") && conflict_of(p.b, CONFLICT_EDIT, 0, &c));
	must(view_settle(p.b, &c, SETTLE_TAKE, 60, NULL));
	met(&p);
	cr_assert(says(p.a, "d/f", "by b"));
	cr_assert_eq(conflicts(p.a), 0);
	done(&p);
}

Test(folder, a_conflict_is_taken_or_dropped_on_one_device_for_all)
{
	for (unsigned how = SETTLE_TAKE; how <= SETTLE_DROP; how++) {
		struct pair p = two();
		struct conflict c;
		put(p.a, "f", "by a", 0, 30);
		put(p.b, "f", "by b", 0, 20);
		met(&p);
		cr_assert(conflict_of(p.b, CONFLICT_EDIT, 0, &c));
		must(view_settle(p.b, &c, how, 40, NULL));
		met(&p);
		cr_assert_eq(conflicts(p.a), 0);
		cr_assert(says(p.a, "f", how == SETTLE_TAKE ? "by b" : "by a"));
		cr_assert(is_past(p.b, how == SETTLE_TAKE ? "by a" : "by b"));
		done(&p);
	}
}

Test(folder, the_same_edit_on_both_devices_is_no_conflict_and_does_not_become_one)
{
	struct pair p = two();
	put(p.a, "f", "same", 0, 30);
	put(p.b, "f", "same", 0, 20);
	met(&p);
	cr_assert_eq(conflicts(p.a), 0);
	put(p.a, "f", "next", 0, 40);
	met(&p);
	cr_assert_eq(conflicts(p.b), 0);
	cr_assert(says(p.b, "f", "next"));
	done(&p);
}

Test(folder, what_was_written_from_an_older_version_is_a_conflict_with_what_came_meanwhile)
{
	struct pair p = two();
	struct view_row row;
	must(find(p.a, "f", &row));
	struct dot opened = row.content->dot;
	struct entry_id id = row.entry->id;
	put(p.b, "f", "by b", 0, 20);
	met(&p);
	struct content c = content_with_text("closed late");
	must(folder_write(p.a, &id, &opened, &c, 30, NULL));
	content_free(&c);
	met(&p);
	struct conflict left;
	cr_assert(says(p.b, "f", "closed late") && conflict_of(p.b, CONFLICT_EDIT, 0, &left));
	done(&p);
}

Test(folder, a_deletion_does_not_beat_an_edit_that_it_did_not_know)
{
	struct pair p = two();
	struct conflict c;
	must(rm(p.a, "f", 90));
	put(p.b, "f", "by b", 0, 20);
	met(&p);
	cr_assert(says(p.a, "f", "by b") && conflict_of(p.a, CONFLICT_REVIVED, 0, &c));
	cr_assert_eq(c.dot.writer, 1);
	must(rm(p.b, "f", 95));
	met(&p);
	cr_assert(!is_there(p.a, "f"));
	cr_assert_eq(conflicts(p.a), 0);
	done(&p);
}

Test(folder, a_deletion_does_not_beat_a_move_that_it_did_not_know)
{
	struct pair p = two();
	must(rm(p.a, "f", 90));
	must(mv(p.b, "f", "d/f", 20));
	met(&p);
	cr_assert(says(p.a, "d/f", "old") && !is_there(p.a, "f"));
	done(&p);
}

Test(folder, a_deletion_on_both_devices_is_one)
{
	struct pair p = two();
	must(rm(p.a, "f", 90));
	must(rm(p.b, "f", 20));
	met(&p);
	cr_assert(!is_there(p.a, "f"));
	done(&p);
}

Test(folder, a_folder_deleted_while_a_file_is_made_in_it_stays_for_that_file)
{
	struct pair p = two();
	must(rm(p.a, "d/g", 20));
	must(rm(p.a, "d", 20));
	put(p.b, "d/sub", NULL, 20, 10);
	put(p.b, "d/sub/new", "kept", 21, 10);
	met(&p);
	cr_assert(says(p.a, "d/sub/new", "kept") && !is_there(p.a, "d/g"));
	must(rm(p.a, "d/sub/new", 30));
	must(rm(p.a, "d/sub", 31));
	met(&p);
	cr_assert(!is_there(p.b, "d"));
	done(&p);
}

Test(folder, of_two_moves_of_one_file_the_later_is_shown_and_the_other_told)
{
	struct pair p = two();
	struct conflict c;
	must(mv(p.a, "f", "d/here", 30));
	must(mv(p.b, "f", "e/there", 20));
	met(&p);
	cr_assert(says(p.b, "d/here", "old") && !is_there(p.b, "e/there"));
	cr_assert(conflict_of(p.b, CONFLICT_MOVED, 0, &c));
	must(view_settle(p.b, &c, SETTLE_TAKE, 40, NULL));
	met(&p);
	cr_assert_eq(conflicts(p.a), 0);
	done(&p);
}

Test(folder, an_edit_follows_a_file_that_was_moved_on_another_device)
{
	struct pair p = two();
	must(mv(p.a, "d", "e/moved", 30));
	put(p.b, "d/g", "edited", 0, 20);
	put(p.b, "d/n", "made", 30, 20);
	met(&p);
	cr_assert(says(p.a, "e/moved/g", "edited") && says(p.a, "e/moved/n", "made"));
	cr_assert_eq(conflicts(p.a), 0);
	done(&p);
}

Test(folder, two_files_made_with_one_name_are_both_kept)
{
	for (unsigned how = SETTLE_TAKE; how <= SETTLE_DROP; how++) {
		struct pair p = two();
		struct conflict c;
		put(p.a, "n", "by a", 30, 30);
		put(p.b, "n", "by b", 31, 20);
		met(&p);
		cr_assert(says(p.b, "n", "by a") && conflict_of(p.b, CONFLICT_NAME, 0, &c));
		struct chunk_addr addr = chunk_addr_of("by b", 4);
		cr_assert(chunk_addr_equal(&c.content->pieces->addr, &addr));
		must(view_settle(p.b, &c, how, 40, NULL));
		met(&p);
		cr_assert(says(p.a, "n", how == SETTLE_TAKE ? "by b" : "by a"));
		cr_assert_eq(conflicts(p.a), 0);
		cr_assert_eq(conflicts(p.b), 0);
		done(&p);
	}
}

Test(folder, a_file_that_a_name_hides_does_not_turn_up_when_the_shown_one_goes)
{
	struct pair p = two();
	struct conflict c;
	put(p.a, "n", "by a", 30, 30);
	put(p.b, "n", "by b", 31, 20);
	met(&p);
	must(mv(p.a, "n", "m", 40));
	met(&p);
	cr_assert(!is_there(p.b, "n") && conflict_of(p.b, CONFLICT_NAME, 0, &c));
	must(view_settle(p.b, &c, SETTLE_TAKE, 50, NULL));
	met(&p);
	cr_assert(says(p.a, "n", "by b") && says(p.a, "m", "by a"));
	done(&p);
}

Test(folder, a_file_saved_by_renaming_over_it_keeps_what_another_device_wrote)
{
	struct pair p = two();
	put(p.a, "tmp", "by a", 30, 30);
	must(mv(p.a, "tmp", "f", 31));
	put(p.b, "f", "by b", 0, 40);
	met(&p);
	/* Two files want the name: the later content is shown. */
	struct conflict c;
	cr_assert(says(p.a, "f", "by b") && conflict_of(p.a, CONFLICT_NAME, 0, &c));
	done(&p);
}

Test(folder, two_folders_made_with_one_name_are_one)
{
	struct pair p = two();
	put(p.a, "n", NULL, 30, 30);
	put(p.a, "n/x", "by a", 32, 30);
	put(p.b, "n", NULL, 31, 20);
	put(p.b, "n/y", "by b", 33, 20);
	met(&p);
	cr_assert(says(p.b, "n/x", "by a") && says(p.a, "n/y", "by b"));
	cr_assert_eq(conflicts(p.a), 0);
	must(mv(p.a, "n", "d/n", 40));
	met(&p);
	cr_assert(says(p.b, "d/n/x", "by a") && says(p.b, "d/n/y", "by b") && !is_there(p.b, "n"));
	must(rm(p.b, "d/n/x", 50));
	must(rm(p.b, "d/n/y", 50));
	must(rm(p.b, "d/n", 50));
	met(&p);
	cr_assert(!is_there(p.a, "d/n"));
	done(&p);
}

Test(folder, of_a_file_and_a_folder_of_one_name_the_folder_is_shown)
{
	struct pair p = two();
	struct conflict c;
	put(p.a, "n", "by a", 30, 30);
	put(p.b, "n", NULL, 31, 20);
	met(&p);
	struct view_row row;
	must(find(p.a, "n", &row));
	cr_assert_eq(row.entry->kind, ENTRY_FOLDER);
	cr_assert(conflict_of(p.a, CONFLICT_NAME, 0, &c));
	done(&p);
}

Test(folder, folders_moved_into_each_other_do_not_vanish)
{
	struct pair p = two();
	struct conflict c;
	must(mv(p.a, "d", "e/d", 20));
	must(mv(p.b, "e", "d/e", 30));
	met(&p);
	cr_assert(says(p.a, "e/d/g", "in d"), "the later move is undone");
	cr_assert(conflict_of(p.b, CONFLICT_CIRCLE, 0, &c));
	must(view_settle(p.b, &c, SETTLE_TAKE, 40, NULL));
	met(&p);
	cr_assert_eq(conflicts(p.a), 0);
	cr_assert(says(p.b, "e/d/g", "in d"));
	done(&p);
}

Test(folder, a_folder_is_not_moved_into_itself)
{
	struct pair p = two();
	cr_assert_eq(mv(p.a, "d", "d/d", 20), ERR_STATE);
	cr_assert_eq(rm(p.a, "d", 20), ERR_STATE);
	done(&p);
}

struct told {
	unsigned count, why[ERR_COUNT];
};

static void count_name(void *ctx, const struct view_row *row, enum err why)
{
	struct told *t = ctx;
	t->count++;
	t->why[why]++;
}

Test(folder, names_that_some_system_cannot_hold_are_kept_and_reported)
{
	struct pair p = two();
	struct told t = {0};
	put(p.a, "a:b", "x", 30, 30);
	put(p.a, "con.txt", "x", 31, 30);
	put(p.a,
	    "Stra\xc3\x9f"
	    "e",
	    "x", 32, 30);
	put(p.b, "\xc3\x84rger", "x", 33, 30);
	put(p.a, "\xc3\xa4rgeR", "y", 34, 30);
	put(p.a, "\xff", "x", 35, 30);
	met(&p);
	cr_assert(says(p.b, "a:b", "x") && says(p.b, "\xc3\x84rger", "x") &&
	          says(p.b, "\xc3\xa4rgeR", "y"));
	must(view_names(p.b, count_name, &t));
	cr_assert_eq(t.why[ERR_UNSUPPORTED], 2);
	cr_assert_eq(t.why[ERR_MALFORMED], 1);
	cr_assert_eq(t.why[ERR_EXISTS], 2);
	cr_assert_eq(t.count, 5);
	struct content c = {.mode = 0644};
	struct entry_id root = {{0}}, id = id_of(40);
	cr_assert_eq(folder_make(p.a, &root, "..", 2, ENTRY_FILE, &c, &id, 1, NULL), ERR_INVALID);
	cr_assert_eq(folder_make(p.a, &root, "a/b", 3, ENTRY_FILE, &c, &id, 1, NULL), ERR_INVALID);
	cr_assert_eq(folder_make(p.a, &root, "f", 1, ENTRY_FILE, &c, &id, 1, NULL), ERR_EXISTS);
	done(&p);
}

Test(folder, a_file_in_a_folder_that_nobody_knows_is_a_conflict_and_not_lost)
{
	struct pair p = two();
	struct conflict c;
	struct entry e;
	put(p.a, "d/n", "kept", 30, 30);
	struct folder *b = replica(3);
	struct entry_id id = id_of(30);
	must(entry_copy(&e, folder_entry(p.a, &id)));
	must(folder_join(b, &e, 0, 40));
	cr_assert(conflict_of(b, CONFLICT_ORPHAN, 0, &c));
	must(view_settle(b, &c, SETTLE_TAKE, 50, NULL));
	cr_assert(says(b, "n", "kept"));
	folder_free(b);
	done(&p);
}

Test(folder, what_was_deleted_can_be_had_back_with_its_folder)
{
	struct pair p = two();
	struct entry_id id = id_of(4);
	must(rm(p.a, "d/g", 20));
	must(rm(p.a, "d", 20));
	met(&p);
	must(folder_undelete(p.b, &id, 30, NULL));
	met(&p);
	cr_assert(says(p.a, "d/g", "in d"));
	done(&p);
}

Test(folder, a_tombstone_is_kept_until_every_member_has_seen_it)
{
	struct pair p = two();
	uint32_t count;
	struct folder *c = replica(3);
	meet(p.a, c);
	meet(p.a, p.b);
	uint32_t before = folder_count(p.a);
	must(rm(p.a, "f", 20));
	meet(p.a, p.b);
	meet(p.a, p.b);
	must(folder_drop_stable(p.a, 30, &count));
	cr_assert_eq(count, 0, "the third has not seen it");
	meet(p.a, c);
	meet(p.a, c);
	must(folder_drop_stable(p.a, 30, &count));
	cr_assert_eq(count, 1);
	cr_assert_eq(folder_count(p.a), before - 1);
	cr_assert(is_past(p.a, "old"));
	meet(p.a, p.b);
	cr_assert_eq(folder_count(p.a), before - 1, "it does not come back");
	cr_assert(look_the_same(p.a, p.b) && look_the_same(p.a, c));
	folder_free(c);
	done(&p);
}

/* As folder/exchange.c does it for who comes with less than was dropped. */
static void tell_whole_list(struct folder *from, struct folder *to)
{
	unsigned list;
	must(folder_begin_list(to, &list));
	tell(from, to);
	for (uint32_t i = 0; i < folder_count(from); i++)
		folder_list_has(to, list, &folder_at(from, i)->id);
	must(folder_end_list(to, list, folder_seen(from), 99));
}

Test(folder, who_left_and_comes_back_does_not_bring_back_what_was_deleted_but_keeps_what_he_wrote)
{
	struct pair p = two();
	uint32_t count;
	struct folder *c = replica(3);
	meet(p.a, c);
	meet(p.a, p.b);
	must(folder_leave(p.a, 3));
	must(rm(p.a, "f", 20));
	must(rm(p.a, "d/g", 20));
	must(rm(p.a, "d", 20));
	for (unsigned i = 0; i < 4; i++) {
		meet(p.a, p.b);
		must(folder_drop_stable(p.a, 30, &count));
		must(folder_drop_stable(p.b, 30, &count));
	}
	cr_assert_null(folder_entry(p.a, &(struct entry_id){{3, [15] = 1}}));
	put(c, "d/mine", "written away", 50, 40);
	cr_assert(!vector_within(folder_dropped(p.a), folder_seen(c)));
	tell(c, p.a);
	tell_whole_list(p.a, c);
	cr_assert(folder_needs_new_life(c));
	must(folder_new_life(c, 4));
	tell(c, p.a);
	meet(p.a, c);
	cr_assert(look_the_same(p.a, c));
	cr_assert(!is_there(c, "f") && !is_there(c, "d/g") && says(p.a, "d/mine", "written away"));
	folder_free(c);
	done(&p);
}

Test(folder, a_replica_refuses_changes_of_its_own_that_it_never_made)
{
	struct pair p = two();
	struct entry e;
	struct folder *restored = replica(1); /* a's disk, put back to when it was new */
	struct entry_id id = id_of(3);
	must(entry_copy(&e, folder_entry(p.b, &id)));
	cr_assert_eq(folder_join(restored, &e, 0, 1), ERR_STALE);
	cr_assert(folder_needs_new_life(restored));
	must(folder_new_life(restored, 9));
	tell(p.b, restored);
	cr_assert(look_the_same(restored, p.b));
	folder_free(restored);
	done(&p);
}

Test(folder, many_versions_beside_each_other_are_thinned_out_into_the_history)
{
	struct pair p = two();
	enum { DEVICES = 30 };
	struct folder *f[DEVICES];
	char text[16];
	for (unsigned i = 0; i < DEVICES; i++) {
		f[i] = replica(10 + i);
		tell(p.a, f[i]);
		snprintf(text, sizeof text, "by %u", i);
		put(f[i], "f", text, 0, 20 + i);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		tell(f[i], p.a);
	cr_assert_eq(conflicts(p.a), ENTRY_VERSIONS_KEEP - 1);
	cr_assert(says(p.a, "f", "by 29") && is_past(p.a, "by 0"));
	for (unsigned i = 0; i < DEVICES; i++)
		folder_free(f[i]);
	done(&p);
}

Test(folder, history_is_forgotten_by_age_and_count)
{
	struct folder *f = replica(1);
	char text[16];
	for (unsigned i = 0; i < 10; i++) {
		snprintf(text, sizeof text, "v%u", i);
		put(f, "f", text, 1, 100 + i);
	}
	cr_assert_eq(folder_past_count(f), 9);
	must(folder_forget(f, 1000, 3));
	cr_assert_eq(folder_past_count(f), 3);
	cr_assert(is_past(f, "v8") && is_past(f, "v6") && !is_past(f, "v5"));
	must(folder_forget(f, 50, 0));
	cr_assert_eq(folder_past_count(f), 3, "all are younger");
	folder_free(f);
}

struct disk {
	struct folder *f;
	unsigned fail_at, puts;
};

static enum err put_record(void *ctx, enum folder_record kind, const uint8_t *key,
                           const void *bytes, size_t size)
{
	struct disk *d = ctx;
	if (++d->puts == d->fail_at)
		return ERR_FULL;
	if (kind == FOLDER_HEAD)
		return d->f ? ERR_OK : folder_load(bytes, size, &d->f);
	return ERR_OK;
}

static enum err load_rest(void *ctx, enum folder_record kind, const uint8_t *key, const void *bytes,
                          size_t size)
{
	struct disk *d = ctx;
	return kind == FOLDER_HEAD || !bytes ? ERR_OK : folder_load_record(d->f, kind, bytes, size);
}

Test(folder, what_was_saved_is_loaded_again)
{
	struct pair p = two();
	put(p.a, "f", "by a", 0, 30);
	put(p.b, "f", "by b", 0, 20);
	must(rm(p.b, "d/g", 20));
	met(&p);
	struct disk d = {.fail_at = 2};
	cr_assert_eq(folder_save(p.a, put_record, &d), ERR_FULL);
	cr_assert(folder_unsaved(p.a));
	folder_free(d.f);
	/* The head comes last: it is read in the first pass, the others in a second, of the same bytes. */
	d = (struct disk){0};
	cr_assert_eq(folder_save(p.b, put_record, &d), ERR_OK);
	cr_assert(!folder_unsaved(p.b));
	must(folder_save(p.a, load_rest, &d));
	cr_assert(look_the_same(d.f, p.b));
	cr_assert_eq(folder_past_count(d.f), folder_past_count(p.a));
	folder_free(d.f);
	done(&p);
}

Test(folder, joins_in_any_order_show_the_same)
{
	enum { DEVICES = 4, STEPS = 400 };
	uint64_t seed = 5;
	struct folder *f[DEVICES];
	for (unsigned i = 0; i < DEVICES; i++)
		f[i] = replica(i + 1);
	for (unsigned step = 0; step < STEPS; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned r = (unsigned)(seed >> 33), who = r % DEVICES, name = r / 4 % 6;
		struct folder *g = f[who];
		char path[8] = {(char)('a' + name), 0}, other[8] = {(char)('a' + r / 64 % 6), 0};
		char text[16];
		snprintf(text, sizeof text, "t%u", step);
		struct view_row row;
		bool there = find(g, path, &row) == ERR_OK;
		if (there && row.entry->kind == ENTRY_FOLDER && r / 512 % 2) {
			char in[16];
			snprintf(in, sizeof in, "%s/%s", path, other);
			struct view_row inner;
			if (find(g, in, &inner) != ERR_OK || inner.entry->kind == ENTRY_FILE)
				put(g, in, text, 1000 + step, step);
		} else if (r / 1024 % 8 == 0) {
			tell(f[r / 8192 % DEVICES], g);
		} else if (!there) {
			put(g, path, r / 4096 % 3 ? text : NULL, 1000 + step, step);
		} else if (r / 1024 % 8 < 3) {
			(void)rm(g, path, step);
		} else if (r / 1024 % 8 < 6) {
			(void)mv(g, path, other, step);
		} else if (row.entry->kind == ENTRY_FILE) {
			put(g, path, text, 0, step);
		}
		folder_check(g);
	}
	for (unsigned round = 0; round < DEVICES; round++)
		for (unsigned i = 0; i < DEVICES; i++)
			tell(f[i], f[(i + 1) % DEVICES]);
	for (unsigned i = 1; i < DEVICES; i++)
		cr_assert(look_the_same(f[0], f[i]));
	for (unsigned i = 0; i < DEVICES; i++)
		folder_free(f[i]);
}
