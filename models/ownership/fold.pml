/* Folding: PartitionState.fold, and Claim.supersedes. The broker's record of the truth and workers use the same. */

#ifdef NO_GENERATION
#define supersedes(record, state) (true)
#else
#define supersedes(record, state) \
	(record.term > state.term || (record.term == state.term && record.generation >= state.generation))
#endif

#ifdef NO_CLAIM
#define event_counts(record, state) (true)
#else
#define event_counts(record, state) (state.claim != 0 && record.claim == state.claim)
#endif

#define record_counts(record, state)                                                     \
	((is_claim(record) && (state.claim == 0 || supersedes(record, state))) ||            \
	 (!is_claim(record) && event_counts(record, state)))

inline apply(target, record) {
	target.sequence = record.sequence;
	target.lifecycle = (record.change == REQUESTED -> WANTED :
		(record.change == STOPPING -> ENDING :
		(record.change == STOPPED -> ABSENT : target.lifecycle)));
	if
	:: record.command != 0 ->
		target.command = record.command;
		target.asked = region[record.command - 1] + 1;
		target.ids = target.ids | id_bit(record.command - 1)
	:: else
	fi
}

/* Fold the record at an offset. */
inline fold(target, offset, record) {
	if
	:: record_counts(record, target) ->
		if
		:: is_claim(record) ->
			target.claim = offset + 1;
			target.generation = record.generation;
			target.term = record.term
		:: else ->
			apply(target, record)
		fi
	:: else
	fi
}

inline copy_record(target, source) {
	target.claim = source.claim;
	target.generation = source.generation;
	target.term = source.term;
	target.group = source.group;
	target.change = source.change;
	target.sequence = source.sequence;
	target.command = source.command
}

inline clear_record(record) {
	record.claim = 0;
	record.generation = 0;
	record.term = 0;
	record.group = 0;
	record.change = 0;
	record.sequence = 0;
	record.command = 0
}

inline copy_state(target, source) {
	target.claim = source.claim;
	target.generation = source.generation;
	target.term = source.term;
	target.command = source.command;
	target.asked = source.asked;
	target.ids = source.ids;
	target.sequence = source.sequence;
	target.lifecycle = source.lifecycle
}

inline clear_state(target) {
	target.claim = 0;
	target.generation = 0;
	target.term = 0;
	target.command = 0;
	target.asked = 0;
	target.ids = 0;
	target.sequence = 0;
	target.lifecycle = ABSENT
}
