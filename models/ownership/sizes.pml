/*
 * Bounds of an exploration. Each is a number of things that may happen, not of steps: whatever fits into them,
 * in every order, is explored.
 *
 * Broken rules, one macro each; without any of them the protocol is the code's:
 *   NO_CLAIM             events count whoever wrote them
 *   NO_GENERATION        the latest claim counts, of whatever generation
 *   NO_PROOF             a worker whose claim is void raises the term without proving its membership
 *   EARLY_DECIDING       decides before recovery has reached its own claim
 *   NO_CONTIGUITY        answers and acts without looking at what stands before its event
 *   NO_READ_INDEX        answers that write nothing do not ask where the partition ends
 *   POSITION_OF_THE_PROOF  a reply names the end of its proof as its position
 *   UNFENCED_COMMIT      the group takes a commit from a worker that is a member no more
 *   NO_OFFSET_MEMORY     commands are recognised by their id only, and that is kept for those that led to an event
 *   NO_ORIGIN            a command that was forwarded twice has two offsets and nothing in common
 *   NO_ID_MEMORY         a client's own retry is a new command
 *   INPUT_HOLE           a command may be stepped over in a delivery
 *   SNAPSHOT_AHEAD       a snapshot holds events that are still on their way
 *   EFFECT_BEFORE_ACK    a session is opened when its event was sent
 *   NO_LOCK              a session is opened without the tenant's lock
 *   CLOSE_WITHOUT_LOCK   a new owner that holds nothing closes nothing, and says that everything is closed
 */
#ifndef WORKERS
#define WORKERS 3
#endif

/* How often the group assigns the partition, to anybody, the same worker included. */
#ifndef GENERATIONS
#define GENERATIONS 3
#endif

/* 2: the group may be deleted once and made anew; generations begin again and offsets are forgotten. */
#ifndef GROUPS
#define GROUPS 1
#endif

/* Crashes beside those of workers that give up by themselves. */
#ifndef CRASHES
#define CRASHES 1
#endif

/* Events and questions of an owner on their way at once. */
#ifndef PIPELINE
#define PIPELINE 2
#endif

/* Which commands there are: see write_script. */
#ifndef SCRIPT
#define SCRIPT 1
#endif

/* 1: commands come through a router, which may forward each of them again at any time, REPEATS times in all. */
#ifndef ROUTED
#define ROUTED 0
#endif
#ifndef REPEATS
#define REPEATS 1
#endif

/* 1: the tenant has a database, and the owner a session there. */
#ifndef SESSIONS
#define SESSIONS 0
#endif

/* Snapshots that are written in all. */
#ifndef SNAPSHOTS
#define SNAPSHOTS 0
#endif

/* Room on the log, at most 15. The broker asserts that it never runs out. */
#ifndef LOG_LENGTH
#define LOG_LENGTH 12
#endif
