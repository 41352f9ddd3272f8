/*
 * A running machine: its CPUs, clock and memory, the loop that gives the CPUs their slices, and how it ends. Boards
 * (board/) build one; nothing here knows a device or an address.
 */
#ifndef BAILEY_MACHINE_H
#define BAILEY_MACHINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "cpu/cpu.h"
#include "memory.h"
#include "options.h"

/* Exit statuses of the program. */
typedef enum MachineExit {
    EXIT_GUEST_OFF = 0, /* or -expect seen */
    EXIT_BAD_INPUT = 1,
    EXIT_BAD_OPTION = 2,
    EXIT_NO_EXPECT = 3,
    EXIT_TIMEOUT = 4,
    EXIT_FAIL_ON = 5,
    EXIT_PANIC = 6,
    EXIT_RESTART = 256, /* not a status: the guest reset the machine, which is to start anew */
} MachineExit;

typedef struct Machine Machine;

/* Who runs a CPU that no guest code runs on (the built-in host): one step of its state machine. Returns false when
 * it waits for an event. */
typedef bool MachineParty(void *opaque, Cpu *cpu);

Machine *machine_new(const Options *o, GError **error);
void     machine_free(Machine *m);

Clock     *machine_clock(Machine *m);
Memory    *machine_memory(Machine *m);
Owners    *machine_owners(Machine *m);
CpuEngine *machine_engine(Machine *m);

/* machine_add_cpu - the CPU takes part in the round robin from now on, in order of addition. */
void machine_add_cpu(Machine *m, Cpu *cpu, bool (*is_off)(const Cpu *cpu));
void machine_set_party(Machine *m, MachineParty *step, void *opaque);

/* machine_wake - an event arrived for a party or an idle CPU: look again. */
void machine_wake(Machine *m);

/* machine_hold_live - a source of outside events is attached (terminal, open connection): jumps of the idle clock
 * are paced by wall time while the count is above zero. */
void machine_hold_live(Machine *m, int delta);

/* machine_set_wall - where wall time comes from, for tests: nanoseconds that never go back. The host's monotonic clock
 * otherwise. */
typedef int64_t MachineWall(void *opaque);
void machine_set_wall(Machine *m, MachineWall *fn, void *opaque);

/* machine_stop - end the run with @status; the first call wins. @reason goes to -result. */
void machine_stop(Machine *m, MachineExit status, const char *reason);

/* machine_stop_from_outside - the same for a user, a signal or a limit: nobody in the machine asked for it. */
void machine_stop_from_outside(Machine *m, MachineExit status, const char *reason);
bool machine_is_stopping(const Machine *m);
bool machine_stopped_from_outside(const Machine *m);

/* Pause and resume (debugger). While paused no guest time passes. */
void machine_pause(Machine *m, bool paused);
bool machine_is_paused(const Machine *m);

/* machine_on_pause - @fn hears of every change of that, whoever made it; one listener, NULL: none. */
void machine_on_pause(Machine *m, void (*fn)(void *opaque, bool paused), void *opaque);

/* machine_break - stop for the debugger where this is called from: a model that guest code or its own step runs. That
 * ends first, then the debugger hears of it. */
void machine_break(Machine *m);

/* machine_step - one instruction of a paused machine, and the timers it makes due. A CPU that waits goes to its next
 * deadline instead; nothing happens to one that is off or runs no guest code. */
void machine_step(Machine *m, Cpu *cpu);

/* A debugger or monitor hears of CPUs that stopped on a break, and of machine_break(): with the CPU whose turn it was,
 * NULL when it was nobody's. */
typedef void MachineOnBreak(void *opaque, Cpu *cpu);
void machine_on_break(Machine *m, MachineOnBreak *fn, void *opaque);
void machine_off_break(Machine *m, MachineOnBreak *fn, void *opaque);

/* machine_on_turn - who hears of every turn of a CPU that runs guest code, before it: with the instructions that it may
 * run, of which it returns how many to run until the next turn, at least one. NULL: nobody. */
typedef uint64_t MachineOnTurn(void *opaque, Cpu *cpu, uint64_t budget);
void machine_on_turn(Machine *m, MachineOnTurn *fn, void *opaque);

/* machine_set_lockstep - report the CPUs' turns (cpu/lockstep.h). */
struct Lockstep;
void machine_set_lockstep(Machine *m, struct Lockstep *l);

/* machine_run - the main loop until machine_stop(); returns the status. */
MachineExit machine_run(Machine *m);

/* machine_keep_memory_hash - machine_memory_hash() is to say what memory is now, not what it is at the end. */
void     machine_keep_memory_hash(Machine *m);
uint64_t machine_memory_hash(const Machine *m);

const char *machine_stop_reason(const Machine *m);
uint64_t    machine_insns(const Machine *m); /* of all CPUs */

/* machine_running - the CPU whose turn it is; NULL: none. */
Cpu *machine_running(const Machine *m);

/* machine_realm_of - VMID of the Realm that a CPU is in; 0: it is in none. */
unsigned machine_realm_of(const Cpu *cpu);

/* Steps of the main job for -result: name, guest time, instruction count, host CPU time; the first some thousand. */
void machine_note_step(Machine *m, const char *name);
void machine_foreach_step(const Machine *m,
                          void (*fn)(void *opaque, const char *name, int64_t ns, uint64_t insns, int64_t host_us),
                          void *opaque);

int64_t host_cpu_us(void); /* CPU time of this process, microseconds; for reports alone */

#endif
