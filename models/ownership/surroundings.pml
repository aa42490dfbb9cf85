/* Constants and scratch are no part of a state; a search breadth first cannot tell them apart. */
#ifdef BREADTH_FIRST
#define ASIDE
#else
#define ASIDE hidden
#endif

/* Everything there is: the log, the commands, the group, the workers, the tenant's database. */

Record log[LOG_LENGTH];
byte log_end;

/* The log, folded record by record as it is written: what every reader makes of it. */
Partition truth;
/* The group that the claim which counts is from. */
byte truth_group;
/* Whether the record at an offset counts, one bit each. */
short counted;
#define counts(offset) ((counted & (1 << (offset))) != 0)
/* Whether the tenant was wanted after each of its events, one bit for each sequence. */
short wanted;
#define was_wanted(sequence) ((wanted & (1 << (sequence))) != 0)

/* The topic of all commands, and the region's: the latter holds offsets of the former. */
#define COMMANDS_MAX 6
ASIDE byte script_kind[COMMANDS_MAX];
ASIDE byte script_id[COMMANDS_MAX];
ASIDE byte script_length;
byte region[COMMANDS_MAX];
byte region_length;

/* The consumer group: who has the partition, and what is committed of the region's topic. */
byte group = 1;
byte generation;
byte assignee;
byte committed;
byte assignments_left = GENERATIONS;
byte crashes_left = CRASHES;
byte introduced;

/* How a worker stands to the partition. */
#define OUT 0       /* it is another worker's */
#define CLAIMING 1  /* its claim is on its way */
#define CLAIMED 2   /* its claim is acknowledged; it has not recovered */
#define PROVED 3    /* its claim was void, and it has shown that it is a member of the group */
#define OWNER 4     /* it decides, answers and acts */
#define DEAD 5      /* it ended; it comes back with the group's next generation */

/* What a worker has in memory, and nowhere else. */
typedef Memory {
	unsigned status : 3;
	unsigned group : 2;
	unsigned generation : 3;
	/* The claim, and everything that is known of the log by its own acknowledgements. */
	unsigned claim : 4;
	unsigned known : 4;
	unsigned lost : 1;
	/* All events sent so far applied, acknowledged or not. */
	Partition state;
	/* The next command to take, and how many are done. */
	unsigned position : 3;
	unsigned done : 3;
	/* Commands that are done out of their turn, one bit each. */
	unsigned finished : 6;
#if SESSIONS
	/* What its effects were last told: a sequence and its lifecycle. */
	unsigned told : 2;
	unsigned told_sequence : 4;
	/* The claim under which it believes to hold a session. */
	unsigned session : 4;
#endif
#ifdef EARLY_DECIDING
	unsigned horizon : 4;
#endif
	Flight flight[PIPELINE];
	/* A question whose answer, where the partition ends, is awaited; then it stands behind what was sent meanwhile. */
	Flight asking
}
Memory worker[WORKERS];

/* What a worker has sent, in order, and the broker has not received. A crash does not take it back. */
#define WIRE_LENGTH (PIPELINE + 1)
typedef Wire {
	unsigned length : 3;
	Record sent[WIRE_LENGTH]
}
Wire wire[WORKERS];
#define wire_has_room(w) (wire[w].length < WIRE_LENGTH)

#if SNAPSHOTS
/* What a worker has on its disk: a state, and how much of the log is in it. */
Partition snapshot[WORKERS];
byte snapshot_end[WORKERS];
byte snapshots_left = SNAPSHOTS;
#endif

#if SESSIONS
/* The tenant's database: the live sessions, one bit for each claim, and the claim of the session with the lock. */
int live;
byte lock;
/* Whether the session with the lock was there before stopping was decided; only the promises look at it. */
bool lock_is_old;
#endif

/* Scratch of one step; no state lives in it. */
ASIDE byte at;
ASIDE byte flag;
ASIDE byte due;
ASIDE byte change_due;
Record paper;
Partition folded;

inline write_command(kind, id) {
	script_kind[script_length] = kind;
	script_id[script_length] = id;
#if !ROUTED
	region[region_length] = script_length;
	region_length++;
#endif
	script_length++
}

/* Commands are there from the beginning: that one comes late is a worker that takes it late. */
inline write_script() {
#if SCRIPT == 1
	write_command(PAUSE, 0);
	write_command(PAUSE, 1)
#elif SCRIPT == 2
	write_command(PAUSE, 0);
	write_command(STATUS, 1)
#elif SCRIPT == 3
	/* The first finds nothing to do, and must not find it later. */
	write_command(SHUTDOWN, 0);
	write_command(CONNECT, 1)
#elif SCRIPT == 4
	/* The second is the client's own retry of the first. */
	write_command(PAUSE, 0);
	write_command(PAUSE, 0)
#elif SCRIPT == 5
	write_command(CONNECT, 0);
	write_command(SHUTDOWN, 1)
#elif SCRIPT == 6
	write_command(CONNECT, 0)
#elif SCRIPT == 7
	write_command(PAUSE, 0);
	write_command(STATUS, 1);
	write_command(PAUSE, 2)
#elif SCRIPT == 8
	write_command(CONNECT, 0);
	write_command(CONNECT, 1)
#endif
}

#define id_bit(place) (1 << script_id[region[place]])
