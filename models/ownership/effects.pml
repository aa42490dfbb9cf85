/*
 * Sessions with the tenant's database: TenantWork, TenantConnection and take_lock. One session stands for the lock's
 * and all pooled ones; it lives in the database until it is closed there, ended by another, or its process ends.
 */
#if SESSIONS

#define bit_of(claim) (1 << (claim))

/* The owner tells its effects what a state calls for once that is on the log and nothing newer is on its way. */
inline pursue(w) {
	if
	:: oldest(w).use == EVENT && oldest(w).sequence == worker[w].state.sequence ->
		worker[w].told = worker[w].state.lifecycle;
		worker[w].told_sequence = worker[w].state.sequence
	:: else
	fi
}

inline close_session(w) {
	if
	:: worker[w].session != 0 ->
		if
		:: lock == worker[w].session ->
			lock = 0;
			lock_is_old = false
		:: else
		fi;
		live = live & ~bit_of(worker[w].session);
		worker[w].session = 0
	:: else
	fi
}

/* Whether a deposed owner knows it or not, its effects go on until the partition is taken from it. */
#define wants_session(w) (alive_owner(w) && worker[w].told == WANTED && worker[w].session == 0)
#ifdef NO_LOCK
#define may_open(w) (wants_session(w))
#else
#define may_open(w) (wants_session(w) && lock == 0)
#endif

inline open_session(w) {
	tell("worker %d: opens a session under claim %d\n", w, worker[w].claim - 1);
	promise(no_effect_without_event,
		worker[w].told_sequence <= truth.sequence && was_wanted(worker[w].told_sequence));
	promise(one_session, live == 0);
	reached(ZOMBIE_SESSION, worker[w].claim != truth.claim);
	live = live | bit_of(worker[w].claim);
	lock = worker[w].claim;
	worker[w].session = worker[w].claim
}

/* Who closes what a predecessor held takes the lock first, like who opens; a newer claim's holder is left alone. */
#ifdef CLOSE_WITHOUT_LOCK
#define wants_lock(w) (wants_session(w))
#else
#define wants_lock(w) (wants_session(w) || wants_close(w))
#endif
#ifdef NO_LOCK
#define may_take_over(w) (false)
#else
#define may_take_over(w) (lock != 0 && lock <= worker[w].claim && lock != worker[w].session && wants_lock(w))
#endif

inline take_over(w) {
	tell("worker %d: ends the session of claim %d\n", w, lock - 1);
	promise(counted_session_stays, lock != truth.claim || lock == worker[w].claim);
	reached(TAKEN_OVER, lock < worker[w].claim);
	live = live & ~bit_of(lock);
	lock = 0;
	lock_is_old = false
}

/* A session that somebody else ended is found to be gone. */
#define may_notice(w) (worker[w].session != 0 && (live & bit_of(worker[w].session)) == 0)

inline notice(w) {
	worker[w].session = 0;
	tell("worker %d: notices that its session is gone\n", w)
}

/* A partition that was let go: its session is closed in the background. */
#define may_let_go(w) (worker[w].session != 0 && worker[w].session != worker[w].claim)

inline let_go(w) {
	close_session(w);
	tell("worker %d: closes the session that it held before\n", w)
}

#define wants_close(w) \
	(may_decide(w) && worker[w].told == ENDING && worker[w].state.lifecycle == ENDING && has_room(w))
#ifdef CLOSE_WITHOUT_LOCK
#define may_close(w) (wants_close(w))
#else
#define may_close(w) (wants_close(w) && (lock == 0 || lock == worker[w].session))
#endif

inline close(w) {
	close_session(w);
	write(w, STOPPED, 0);
	at = 0;
	tell("worker %d: holds no session, sends connect.stopped\n", w)
}

#endif
