/* What is written, and what is made of it. Offsets are stored plus one, so that 0 is none. */

/* What an event says happened. */
#define PAUSED 1
#define REQUESTED 2
#define STOPPING 3
#define STOPPED 4

/* Lifecycles of the tenant; `wanted` stands for checking, provisioning and ready. */
#define ABSENT 0
#define WANTED 1
#define ENDING 2

/* Commands. A pause always leads to an event, a status never does; the others depend on the lifecycle. */
#define PAUSE 1
#define STATUS 2
#define CONNECT 3
#define SHUTDOWN 4

/*
 * A record of the events partition; a claim has a generation, and an event has none.
 *   claim       of an event: the claim it was written under
 *   generation  of a claim
 *   term        of a claim
 *   group       of a claim: which group made the assignment. No reader sees it; the promises do.
 *   change      of an event: what happened
 *   sequence    of an event: its number among the tenant's
 *   command     of an event: where its command stands in the region's topic; 0 for what an effect reported. Where that
 *               was forwarded from, the event says too; here it is looked up, for topics do not change.
 */
typedef Record {
	unsigned claim : 4;
	unsigned generation : 3;
	unsigned term : 2;
	unsigned group : 2;
	unsigned change : 3;
	unsigned sequence : 4;
	unsigned command : 3
}

#define is_claim(record) (record.generation != 0)

/*
 * A partition, folded: PartitionState, with the one tenant's state in it.
 *   claim, generation, term  the claim that counts
 *   command                  highest offset of a command that led to an event
 *   asked                    the same on the topic of all commands, which it was forwarded from
 *   ids                      ids of commands that led to an event, one bit each
 *   sequence, lifecycle      the tenant's
 */
typedef Partition {
	unsigned claim : 4;
	unsigned generation : 3;
	unsigned term : 2;
	unsigned command : 3;
	unsigned asked : 3;
	unsigned ids : 4;
	unsigned sequence : 4;
	unsigned lifecycle : 2
}

/*
 * Something that an owner waits for before it answers: Flight and Outcome.
 *   use       EVENT, or QUESTION for the read index; 0 for none
 *   end       the acknowledged offset, or the partition's last one, plus one; 0 until it is known
 *   place     where the command stands in the region's topic, plus one; 0 for what an effect reported
 *   sequence  the tenant's sequence that will be answered
 *   position  how far the answered status reaches: every record before it is in it
 *   counted   the tenant's sequence on the log when the command was taken; only the promises look at it
 */
#define EVENT 1
#define QUESTION 2
typedef Flight {
	unsigned use : 2;
	unsigned end : 4;
	unsigned place : 3;
	unsigned sequence : 4;
	unsigned position : 4;
	unsigned counted : 4
}
