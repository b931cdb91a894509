/* CO-RE relocations of every kind; what each asks for is in types.h. */
#include "mini_bpf.h"
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#include "types.h"
struct whole___flavored { void *pointer; int gone_before; struct inner parts[4]; };
struct whole___matching { void *pointer; struct inner *next; };
#pragma clang attribute pop

#define info(field, kind) __builtin_preserve_field_info(field, kind)
#define type(of, kind) __builtin_preserve_type_info(*(typeof(of) *)0, kind)
#define value(of, name, kind) __builtin_preserve_enum_value(*(typeof(of) *)name, kind)
#define id(of, kind) __builtin_btf_type_id(*(typeof(of) *)0, kind)
#define about(field) info(field, 0) + info(field, 1) + info(field, 3) + info(field, 4) + info(field, 5)

SEC("raw_tp/offsets") long offsets(struct whole *w)
{
	return (long)w->pointer + w[2].parts[3].right + w->next->number + w->plain + w->flexible[7] + (long)w->call;
}

SEC("raw_tp/exists") long exists(struct whole *w)
{
	return info(w->hidden, 2) + 2 * info(w->parts[1].both, 2) + 4 * info(((struct whole___flavored *)w)->gone_before, 2);
}

SEC("raw_tp/sizes") long sizes(struct whole *w)
{
	return info(w->parts, 1) + info(w->parts[1], 1) + info(w->next, 1) + info(w->flexible, 1);
}

SEC("raw_tp/bitfields") long bitfields(struct whole *w)
{
	return about(w->low) + about(w->high) + about(w->across) + about(w->plain);
}

SEC("raw_tp/enums") long enums(void *w)
{
	return value(enum level, MIDDLE, 1) + value(enum plain, STAYS, 1) + value(enum plain, GONE, 0) + value(enum level, HIGH, 0);
}

SEC("raw_tp/gone_enum") long gone_enum(void *w)
{
	return value(enum plain, GONE, 1);
}

SEC("raw_tp/enums_of_64") __u64 enums_of_64(void *w)
{
	return value(enum wide, WIDE, 1) + value(enum wide, WIDER, 1);
}

SEC("raw_tp/types") long types(void *w)
{
	return type(struct whole, 0) + 2 * type(struct only_here, 0) + 4 * type(pair_t, 1) + 8 * type(union choice, 1) +
	       16 * type(callback_t, 0) + type(struct whole, 2) + 2 * type(enum plain, 2) + 4 * type(pair_t, 2) +
	       type(struct whole___matching, 2) + type(struct arrays, 2) + type(struct whole___flavored, 2);
}

SEC("raw_tp/ids") long ids(void *w)
{
	return id(struct whole, 0) + id(struct whole, 1) + id(struct only_here, 1) + id(pair_t, 1);
}

SEC("raw_tp/gone") long gone(struct whole *w)
{
	return w->hidden;
}

SEC("raw_tp/guarded") long guarded(struct whole *w)
{
	return info(w->hidden, 2) ? w->hidden : info(w->parts[0].both, 2) ? w->parts[0].both : 0;
}

SEC("raw_tp/resized") long resized(struct whole *w)
{
	return w->unsigned_one;
}

SEC("raw_tp/misfit") long misfit(struct whole *w)
{
	return w->signed_one;
}

SEC("raw_tp/became") long became(struct whole *w)
{
	return w->became + w->points;
}

SEC("raw_tp/elements") long elements(struct arrays *a)
{
	return a->grid[1][2] + a->list[1]->parts[2].left;
}

SEC("raw_tp/outside") long outside(struct arrays *a)
{
	return a->grid[4][2];
}

SEC("raw_tp/flavored") long flavored(struct whole___flavored *w)
{
	return (long)w->pointer;
}

__noinline __attribute__((used)) long subprogram(struct whole *w)
{
	return w->parts[2].number;
}

char LICENSE[] SEC("license") = "GPL";
