/*
 * The broker of the events partition: one order, and what is on the log stays there (acks=all, no unclean leader).
 * The router and the region's topic are here too.
 */

#define SAME_STATE \
	(folded.claim == truth.claim && folded.generation == truth.generation && folded.term == truth.term && \
	 folded.command == truth.command && folded.asked == truth.asked && folded.ids == truth.ids && \
	 folded.sequence == truth.sequence && folded.lifecycle == truth.lifecycle)

/*
 * What must hold of a record that counts, before it is folded. Where groups are made anew, a worker that was frozen
 * between its proof and its claim may depose its successor; that ends when the successor has ended itself.
 */
#if GROUPS > 1
#define may_depose(record) (record.term > truth.term)
#else
#define may_depose(record) (false)
#endif

inline judge_claim(record) {
	promise(no_zombie_deposes, truth.claim == 0 || record.group != truth_group ||
		record.generation >= truth.generation || may_depose(record));
	reached(RAISED_TERM, record.term > 0);
	truth_group = record.group
}

inline judge_event(record) {
	promise(sequence_without_gap, record.sequence == truth.sequence + 1);
	if
	:: record.command != 0 ->
		promise(one_event_per_command, (truth.ids & id_bit(record.command - 1)) == 0);
		promise(order_of_commands, region[record.command - 1] + 1 > truth.asked)
	:: else
	fi;
#if SESSIONS
	if
	:: record.change == STOPPING -> lock_is_old = (live != 0)
	:: record.change == STOPPED -> promise(stopped_is_closed, !lock_is_old)
	:: else
	fi
#endif
}

inline append(record) {
	assert(log_end < LOG_LENGTH);
	copy_record(log[log_end], record);
	if
	:: record_counts(record, truth) ->
		counted = counted | (1 << log_end);
		if
		:: is_claim(record) -> judge_claim(record)
		:: else -> judge_event(record)
		fi
	:: else ->
		reached(VOID_CLAIM, is_claim(record));
		reached(VOID_EVENT, !is_claim(record))
	fi;
	fold(truth, log_end, record);
#if SESSIONS
	wanted = wanted | ((truth.lifecycle == WANTED -> 1 : 0) << truth.sequence);
#endif
	log_end++
}

/* The acknowledgement; that of a process that has ended, or let go, reaches nobody. */
inline acknowledge(w, record) {
	if
	:: is_claim(record) && worker[w].status == CLAIMING && record.group == worker[w].group &&
	   record.generation == worker[w].generation ->
		worker[w].status = CLAIMED;
		worker[w].claim = log_end
	:: !is_claim(record) && worker[w].status == OWNER && record.claim == worker[w].claim ->
		at = 0;
		do
		:: at < PIPELINE && (worker[w].flight[at].use != EVENT || worker[w].flight[at].end != 0) -> at++
		:: else -> break
		od;
		if
		:: at < PIPELINE -> worker[w].flight[at].end = log_end
		:: else
		fi
	:: else
	fi
}

inline shift_wire(w) {
	for (at : 0 .. WIRE_LENGTH - 2) {
		copy_record(wire[w].sent[at], wire[w].sent[at + 1])
	}
	clear_record(wire[w].sent[WIRE_LENGTH - 1]);
	at = 0;
	wire[w].length = wire[w].length - 1
}

inline receive(w) {
	append(wire[w].sent[0]);
	acknowledge(w, wire[w].sent[0]);
	tell("broker: offset %d: ", log_end - 1);
	if
	:: is_claim(wire[w].sent[0]) ->
		tell("worker %d claims, generation %d, term %d", w, wire[w].sent[0].generation, wire[w].sent[0].term)
	:: else ->
		tell("worker %d's event, sequence %d, claim %d, command %d", w, wire[w].sent[0].sequence,
			wire[w].sent[0].claim - 1, wire[w].sent[0].command - 1)
	fi;
	if
	:: counts(log_end - 1) ->
		tell("\n");
		reached(LATE_FROM_THE_DEAD, worker[w].status == DEAD && !is_claim(wire[w].sent[0]))
	:: else -> tell(" (void)\n")
	fi;
	shift_wire(w)
}

proctype Broker() {
end:
	do
	:: d_step { wire[0].length > 0 -> receive(0) }
#if WORKERS > 1
	:: d_step { wire[1].length > 0 -> receive(1) }
#endif
#if WORKERS > 2
	:: d_step { wire[2].length > 0 -> receive(2) }
#endif
#if WORKERS > 3
	:: d_step { wire[3].length > 0 -> receive(3) }
#endif
	od
}

#if ROUTED
/*
 * All routers together, the frozen and the restarted ones included. Each forwards what it reads in order, and one
 * that takes over begins where everything before was acknowledged; so commands first appear in order, and any that
 * was forwarded may be forwarded again at any later time.
 */
byte forwarded;
byte repeats_left = REPEATS;

inline forward(place) {
	region[region_length] = place;
	region_length++;
	tell("router: forwards command %d\n", place)
}

proctype Router() {
end:
	do
	:: d_step { forwarded < script_length -> forward(forwarded); forwarded++ }
	:: d_step { repeats_left > 0 && forwarded > 0 -> repeats_left--; forward(0) }
	:: d_step { repeats_left > 0 && forwarded > 1 -> repeats_left--; forward(1) }
	od
}
#endif
