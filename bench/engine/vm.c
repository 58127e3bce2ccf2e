/* vm.c - a switch-driven virtual machine: an interpreter in the interpreter. It runs a program of
 * ours that counts Collatz steps, with a loop, arithmetic, a subroutine and memory.
 */
#include "bench.h"

enum op {
	LOAD_IMM,
	LOAD,
	STORE,
	ADD,
	SUB,
	MUL3,
	SHR,
	AND,
	JUMP,
	JUMP_ZERO,
	JUMP_LESS,
	CALL,
	RET,
	HALT
};

struct insn {
	uint8_t op, a, b, c;
	int32_t imm;
};

/* r0: n, r1: limit, r2: steps, r3: x, r4: 1, r5: scratch */
static const struct insn program[] = {
    {LOAD_IMM, 0, 0, 0, 1},   {LOAD_IMM, 4, 0, 0, 1},  {LOAD_IMM, 2, 0, 0, 0},
    {ADD, 3, 0, 6, 0},                             /* 3: outer: x = n + 0 */
    {CALL, 0, 0, 0, 9},       {STORE, 2, 0, 0, 0}, /* memory[n & 255] = steps */
    {ADD, 0, 0, 4, 0},        {JUMP_LESS, 0, 1, 0, 3}, {HALT, 0, 0, 0, 0},
    {SUB, 5, 3, 4, 0}, /* 9: collatz: x == 1? */
    {JUMP_ZERO, 5, 0, 0, 18}, {ADD, 2, 2, 4, 0},       {AND, 5, 3, 4, 0},
    {JUMP_ZERO, 5, 0, 0, 16}, {MUL3, 3, 3, 0, 1},      {JUMP, 0, 0, 0, 9},
    {SHR, 3, 3, 0, 1},                           /* 16 */
    {JUMP, 0, 0, 0, 9},       {RET, 0, 0, 0, 0}, /* 18 */
};

static uint32_t interpret(const struct insn *code, uint32_t limit, uint32_t *memory)
{
	uint32_t r[8] = {0}, stack[16], depth = 0, pc = 0;
	r[1] = limit;
	for (;;) {
		const struct insn *i = &code[pc++];
		switch ((enum op)i->op) {
		case LOAD_IMM: r[i->a] = (uint32_t)i->imm; break;
		case LOAD: r[i->a] = memory[r[i->b] & 255]; break;
		case STORE: memory[r[i->b] & 255] = r[i->a]; break;
		case ADD: r[i->a] = r[i->b] + r[i->c]; break;
		case SUB: r[i->a] = r[i->b] - r[i->c]; break;
		case MUL3: r[i->a] = r[i->b] * 3 + (uint32_t)i->imm; break;
		case SHR: r[i->a] = r[i->b] >> i->imm; break;
		case AND: r[i->a] = r[i->b] & r[i->c]; break;
		case JUMP: pc = (uint32_t)i->imm; break;
		case JUMP_ZERO:
			if (r[i->a] == 0)
				pc = (uint32_t)i->imm;
			break;
		case JUMP_LESS:
			if (r[i->a] < r[i->b])
				pc = (uint32_t)i->imm;
			break;
		case CALL:
			stack[depth++ & 15] = pc;
			pc = (uint32_t)i->imm;
			break;
		case RET: pc = stack[--depth & 15]; break;
		case HALT: return r[2];
		}
	}
}

uint32_t run(uint32_t n)
{
	uint32_t memory[256] = {0}, sum = interpret(program, n, memory);
	for (int i = 0; i < 256; i++)
		sum = mix(sum, memory[i]);
	return sum;
}
