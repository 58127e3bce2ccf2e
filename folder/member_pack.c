/* member_pack.c - the bytes of a member: writer, device, whether it left, what it has. */
#include "folder/member_pack.h"

#include "base/pack.h"

enum { MEMBER_FIELDS = 4 };

void member_pack(struct wr *w, const struct folder_member *m)
{
	pack_array(w, MEMBER_FIELDS);
	pack_u64(w, m->writer);
	pack_bin(w, m->device, FOLDER_DEVICE_SIZE);
	pack_bool(w, m->left);
	vector_pack(w, &m->ack);
}

enum err member_unpack(struct rd *r, struct folder_member *out)
{
	uint32_t count;
	*out = (struct folder_member){0};
	TRY(unpack_array(r, MEMBER_FIELDS, &count));
	if (count != MEMBER_FIELDS)
		return ERR_MALFORMED;
	TRY(unpack_u64(r, &out->writer));
	TRY(unpack_fixed(r, out->device, FOLDER_DEVICE_SIZE));
	TRY(unpack_bool(r, &out->left));
	if (!out->writer)
		return ERR_MALFORMED;
	return vector_unpack(r, &out->ack);
}
