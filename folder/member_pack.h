/* member_pack.h - a member's bytes, in a head on disk and in messages (docs/formats/folder.md). For folder/ only. */
#pragma once

#include "folder/folder.h"

void member_pack(struct wr *w, const struct folder_member *m);
/* out's ack is empty after an error. */
enum err member_unpack(struct rd *r, struct folder_member *out);
