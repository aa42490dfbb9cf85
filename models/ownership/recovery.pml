/* From an assignment to ownership: Registry.assign, Registry.recovered, and the coming and going of workers. */

#define is_member(w) (worker[w].group == group && worker[w].generation == generation)

inline clear_flight(slot) {
	slot.use = 0;
	slot.end = 0;
	slot.place = 0;
	slot.sequence = 0;
	slot.position = 0;
	slot.counted = 0
}

/* Everything about the partition that lives in memory only. What was sent is sent. */
inline forget(w) {
	worker[w].claim = 0;
	worker[w].known = 0;
	worker[w].lost = false;
	worker[w].position = 0;
	worker[w].done = 0;
	worker[w].finished = 0;
	clear_flight(worker[w].asking);
	clear_state(worker[w].state);
	for (at : 0 .. PIPELINE - 1) {
		clear_flight(worker[w].flight[at])
	}
	at = 0;
#if SESSIONS
	worker[w].told = ABSENT;
	worker[w].told_sequence = 0;
#endif
#ifdef EARLY_DECIDING
	worker[w].horizon = 0;
#endif
	skip
}

/* Hand what was written over to be sent; from here on it is out of the worker's hands. */
inline send(w) {
	copy_record(wire[w].sent[wire[w].length], paper);
	wire[w].length = wire[w].length + 1;
	clear_record(paper)
}

inline send_claim(w, with_term) {
	paper.generation = worker[w].generation;
	paper.group = worker[w].group;
	paper.term = with_term;
	send(w);
	worker[w].status = CLAIMING
}

/*
 * The worker hears of the group's present generation, perhaps having missed some. While a claim is on its way it hears
 * nothing: the rebalance waits for it.
 */
#define may_rejoin(w) \
	(generation > 0 && !is_member(w) && worker[w].status != CLAIMING && worker[w].status != PROVED && wire_has_room(w))

/*
 * What was owned and is assigned again is kept, unless a generation was missed or the log has a newer claim: after a
 * group was made anew, the number may fit by chance.
 */
inline rejoin(w) {
	flag = false;
	if
	:: assignee == w && may_decide(w) && generation == worker[w].generation + 1 ->
		read_back(w, log_end);
		flag = !flag
	:: else
	fi;
	worker[w].generation = generation;
	worker[w].group = group;
	if
	:: flag ->
		worker[w].position = committed;
		worker[w].done = committed;
		worker[w].finished = 0;
		tell("worker %d: keeps the partition in generation %d\n", w, generation);
		reached(KEPT, true)
	:: !flag && assignee == w ->
		forget(w);
#ifdef EARLY_DECIDING
		worker[w].horizon = log_end;
#endif
		send_claim(w, 0);
		tell("worker %d: is assigned the partition in generation %d, sends its claim\n", w, generation)
	:: else ->
		forget(w);
		worker[w].status = OUT;
		tell("worker %d: learns that the partition is not its own in generation %d\n", w, generation)
	fi;
	flag = false
}

/*
 * Fold the log, from its beginning or from the worker's snapshot, through `last`, which is at least the worker's own
 * claim. Where the end offset was asked for earlier than the log was read, `last` is not the log's last: both are
 * explored.
 */
inline fold_log(w, last) {
#if SNAPSHOTS
	copy_state(folded, snapshot[w]);
	at = snapshot_end[w];
#else
	clear_state(folded);
	at = 0;
#endif
	do
	:: at < log_end && at <= last ->
		fold(folded, at, log[at]);
		at++
	:: else -> break
	od;
	at = 0;
	if
	:: last + 1 == log_end -> promise(same_fold, SAME_STATE)
	:: else
	fi
}

inline settle(w, last) {
	fold_log(w, last);
	if
	:: folded.claim == worker[w].claim ->
		promise(one_owner_counts, counts(worker[w].claim - 1));
		own(w, last)
	:: folded.claim > worker[w].claim ->
		worker[w].status = OUT;
		tell("worker %d: finds a newer claim in recovery\n", w)
	:: else ->
#ifdef NO_PROOF
		worker[w].status = PROVED;
#else
		if
		:: is_member(w) -> worker[w].status = PROVED
		:: else -> worker[w].status = OUT
		fi;
#endif
		worker[w].state.term = folded.term;
		tell("worker %d: finds its claim void\n", w)
	fi;
	clear_state(folded)
}

inline own(w, last) {
	worker[w].status = OWNER;
	worker[w].known = last + 1;
	copy_state(worker[w].state, folded);
	worker[w].position = committed;
	worker[w].done = committed;
#if SESSIONS
	worker[w].told = folded.lifecycle;
	worker[w].told_sequence = folded.sequence;
#endif
	tell("worker %d: has recovered through offset %d and owns under claim %d\n", w, last, worker[w].claim - 1)
}

#ifdef EARLY_DECIDING
/* What stood on the log when it was assigned is taken for all there is. */
inline settle_early(w) {
	fold_log(w, worker[w].horizon - 1);
	folded.claim = worker[w].claim;
	own(w, worker[w].claim - 1);
	clear_state(folded)
}
#endif

/* The term is raised under the generation of the proof, however long ago that was. */
inline raise_term(w) {
	send_claim(w, worker[w].state.term + 1);
	tell("worker %d: sends a claim with term %d\n", w, worker[w].state.term + 1);
	worker[w].state.term = 0
}

/* The process ends. Its sessions end with it; what it has sent may still arrive, or not. */
inline end_process(w) {
	forget(w);
	worker[w].status = DEAD;
	worker[w].group = group;
	worker[w].generation = generation;
#if SESSIONS
	close_session(w);
#endif
	skip
}

inline lose_wire(w) {
	for (at : 0 .. WIRE_LENGTH - 1) {
		clear_record(wire[w].sent[at])
	}
	at = 0;
	wire[w].length = 0
}
