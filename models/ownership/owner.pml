/* The owner: takes commands, proves, answers, commits. OwnedPartition and PartitionOwner. */

#define alive_owner(w) (worker[w].status == OWNER)
#define may_decide(w) (alive_owner(w) && !worker[w].lost)
#define last_slot(w) worker[w].flight[PIPELINE - 1]
#define has_room(w) (last_slot(w).use == 0 && wire_has_room(w))

/* A snapshot is of what is acknowledged and judged, never of what is on its way. */
#ifdef SNAPSHOT_AHEAD
#define may_store(w) (may_decide(w) && snapshots_left > 0)
#else
#define may_store(w) (may_decide(w) && snapshots_left > 0 && worker[w].flight[0].use == 0)
#endif

inline store(w) {
	snapshots_left--;
	copy_state(snapshot[w], worker[w].state);
	snapshot_end[w] = worker[w].known;
	tell("worker %d: writes a snapshot through offset %d\n", w, worker[w].known - 1)
}

#ifdef NO_OFFSET_MEMORY
#define by_offset(w) (false)
#else
#define by_offset(w) (worker[w].position + 1 <= worker[w].state.command)
#endif
#if ROUTED && !defined(NO_ORIGIN)
#define by_origin(w) (region[worker[w].position] + 1 <= worker[w].state.asked)
#else
#define by_origin(w) (false)
#endif
#ifdef NO_ID_MEMORY
#define by_id(w) (false)
#else
#define by_id(w) ((worker[w].state.ids & id_bit(worker[w].position)) != 0)
#endif
#define is_decided(w) (by_offset(w) || by_origin(w) || by_id(w))

/* decide: what a command leads to, 0 for nothing. */
#define decision(kind, lifecycle)                                              \
	(kind == PAUSE -> PAUSED :                                                 \
	(kind == CONNECT && lifecycle == ABSENT -> REQUESTED :                     \
	(kind == SHUTDOWN && lifecycle == WANTED -> STOPPING : 0)))

#define leads_to(w) \
	(is_decided(w) -> 0 : decision(script_kind[region[worker[w].position]], worker[w].state.lifecycle))

inline fill(slot, w, kind, at_place) {
	slot.use = kind;
	slot.place = at_place;
	slot.sequence = worker[w].state.sequence;
	slot.position = worker[w].known;
	slot.counted = truth.sequence
}

/* The first slot that is free; there is one. */
inline find_slot(w) {
	at = 0;
	do
	:: worker[w].flight[at].use != 0 -> at++
	:: else -> break
	od
}

/* Apply an event and send it. */
inline write(w, what, at_place) {
	paper.claim = worker[w].claim;
	paper.change = what;
	paper.sequence = worker[w].state.sequence + 1;
	paper.command = at_place;
	apply(worker[w].state, paper);
	send(w);
	find_slot(w);
	fill(worker[w].flight[at], w, EVENT, at_place);
	at = 0
}

#define may_take(w)                                                             \
	(may_decide(w) && worker[w].position < region_length && has_room(w) &&      \
	 (worker[w].asking.use == 0 || leads_to(w) != 0))

inline take(w) {
	change_due = leads_to(w);
	if
	:: change_due != 0 ->
		write(w, change_due, worker[w].position + 1);
		tell("worker %d: takes command %d, sends an event with sequence %d\n", w, worker[w].position,
			worker[w].state.sequence)
	:: else ->
		fill(worker[w].asking, w, QUESTION, worker[w].position + 1);
		tell("worker %d: takes command %d, which leads to no event\n", w, worker[w].position);
		reached(ANSWERED_AGAIN, is_decided(w) && worker[w].claim == truth.claim)
	fi;
	worker[w].position = worker[w].position + 1;
#if SESSIONS && defined(EFFECT_BEFORE_ACK)
	worker[w].told = worker[w].state.lifecycle;
	worker[w].told_sequence = worker[w].state.sequence;
#endif
	change_due = 0
}

/* The read index: where the partition ends is asked after the command was taken. */
#ifdef NO_READ_INDEX
#define asked_end 1
#else
#define asked_end log_end
#endif

#define may_ask(w) (may_decide(w) && worker[w].asking.use != 0 && last_slot(w).use == 0)

inline copy_flight(target, source) {
	target.use = source.use;
	target.end = source.end;
	target.place = source.place;
	target.sequence = source.sequence;
	target.position = source.position;
	target.counted = source.counted
}

inline ask(w) {
	find_slot(w);
	copy_flight(worker[w].flight[at], worker[w].asking);
	worker[w].flight[at].end = asked_end;
	clear_flight(worker[w].asking);
	at = 0;
	tell("worker %d: learns that the partition ends before offset %d\n", w, asked_end)
}

/* Whether a claim that deposes this owner stands after what it knows and before `last`. */
inline read_back(w, last) {
	flag = false;
#ifndef NO_CLAIM
	at = worker[w].known;
	do
	:: at < last ->
		flag = flag || (is_claim(log[at]) && supersedes(log[at], worker[w].state));
		at++
	:: else -> break
	od;
	at = 0
#endif
}

#define oldest(w) worker[w].flight[0]
#define may_land(w) (may_decide(w) && oldest(w).use != 0 && oldest(w).end != 0)

/* A reply's position is that of its event; of one without an event, what was known when the status was taken. */
#ifdef POSITION_OF_THE_PROOF
#define answered_position(w) (worker[w].known)
#else
#define answered_position(w) (oldest(w).use == EVENT -> oldest(w).end : oldest(w).position)
#endif

/* Every event that counts before the reply's position is in the reply's status. */
inline check_position(w) {
	due = 0;
	for (at : 0 .. LOG_LENGTH - 1) {
		if
		:: at < answered_position(w) && counts(at) && !is_claim(log[at]) -> due = log[at].sequence
		:: else
		fi
	}
	at = 0;
	promise(position_is_covered, due <= oldest(w).sequence);
	due = 0
}

/* The oldest flight is acknowledged: look for a gap, judge, and answer. */
inline land(w) {
	due = worker[w].known + (oldest(w).use == EVENT -> 1 : 0);
	flag = false;
#ifndef NO_CONTIGUITY
	if
	:: oldest(w).end > due -> read_back(w, oldest(w).end)
	:: else
	fi;
#endif
	if
	:: flag ->
		reached(DEPOSED, oldest(w).use == EVENT);
		reached(STALE_QUESTION, oldest(w).use == QUESTION && oldest(w).sequence < oldest(w).counted);
		worker[w].lost = true;
		for (at : 0 .. PIPELINE - 1) {
			clear_flight(worker[w].flight[at])
		}
		clear_flight(worker[w].asking);
		tell("worker %d: reads back a gap, finds a newer claim, answers nothing more\n", w)
	:: else ->
		reached(INNOCENT_GAP, oldest(w).end > due);
		answer(w)
	fi;
	flag = false;
	due = 0;
	at = 0
}

inline answer(w) {
	worker[w].known = (oldest(w).end > worker[w].known -> oldest(w).end : worker[w].known);
	if
	:: oldest(w).use == EVENT ->
		tell("worker %d: answers that its event at offset %d counts\n", w, oldest(w).end - 1);
		promise(acknowledged_counts, counts(oldest(w).end - 1) && log[oldest(w).end - 1].sequence == oldest(w).sequence)
	:: else ->
		due = script_kind[region[oldest(w).place - 1]];
		tell("worker %d: answers with sequence %d and no new event\n", w, oldest(w).sequence);
		promise(answer_is_current, oldest(w).sequence >= oldest(w).counted && oldest(w).sequence <= truth.sequence);
		promise(acknowledged_counts, due != PAUSE || (truth.ids & id_bit(oldest(w).place - 1)) != 0)
	fi;
	check_position(w);
	if
	:: oldest(w).place > worker[w].done -> finish(w)
	:: else
	fi;
#if SESSIONS
	pursue(w);
#endif
	next_flight(w)
}

/* Only what is done in turn may be committed: Progress. */
inline finish(w) {
	worker[w].finished = worker[w].finished | (1 << (oldest(w).place - 1));
	do
	:: (worker[w].finished & (1 << worker[w].done)) != 0 ->
		worker[w].finished = worker[w].finished & ~(1 << worker[w].done);
		worker[w].done = worker[w].done + 1
	:: else -> break
	od
}

inline next_flight(w) {
	for (at : 0 .. PIPELINE - 2) {
		copy_flight(worker[w].flight[at], worker[w].flight[at + 1])
	}
	clear_flight(worker[w].flight[PIPELINE - 1])
}

/* Kafka takes a commit from a member of the present generation and from nobody else. */
#ifdef UNFENCED_COMMIT
#define may_commit(w) (alive_owner(w) && worker[w].done > committed)
#else
#define may_commit(w) (alive_owner(w) && is_member(w) && worker[w].done > committed)
#endif

inline commit(w) {
	for (at : 0 .. COMMANDS_MAX - 1) {
		if
		:: at < worker[w].done && script_kind[region[at]] == PAUSE ->
			promise(nothing_lost, (truth.ids & id_bit(at)) != 0)
		:: else
		fi
	}
	at = 0;
#if GROUPS == 1
	promise(only_the_owner_commits, worker[w].claim == truth.claim);
#endif
	committed = worker[w].done;
	tell("worker %d: commits up to command %d\n", w, committed)
}
