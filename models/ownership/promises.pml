/*
 * What is promised. A broken promise prints its name and ends the exploration.
 *
 *   one_owner_counts       a record counts only under the one claim that counts before it, and a worker never takes
 *                          itself for the owner under a claim that never counted
 *   no_zombie_deposes      within a group, a claim of an older generation never takes the place of a newer one's
 *   sequence_without_gap   events that count have the tenant's next sequence
 *   one_event_per_command  no id has two events that count
 *   order_of_commands      events that count stand in the order of their commands
 *   acknowledged_counts    what is answered as done has its event, and that counts
 *   answer_is_current      an answer misses no event that counted when its command was taken, and says nothing that
 *                          is not so
 *   position_is_covered    every event that counts up to a reply's position is in the reply's status
 *   same_fold              whoever folds the log up to a place finds what everybody finds
 *   nothing_lost           what is committed has its event, if it is a command that has one
 *   only_the_owner_commits within a group, nobody commits but the owner whose claim counts
 *   no_effect_without_event  a session is opened only for an event that counts
 *   one_session            never two live sessions with the tenant's database
 *   counted_session_stays  nobody but its owner ends a session of the claim that counts
 *   stopped_is_closed      when connect.stopped counts, no session is left of those there were when stopping was
 *                          decided
 *   nobody_is_stuck        when nothing more can happen, the partition's owner has done everything, under the claim that counts
 */
#define promise(name, condition)           \
	if                                     \
	:: (condition)                         \
	:: else ->                             \
		printf("broken promise: ");        \
		printf(#name);                     \
		printf("\n");                      \
		assert(false)                      \
	fi

/*
 * Situations that the explorations must come to, for a promise is worth nothing where it is never put to the test. With
 * -DSITUATION=... the exploration ends at the first of them.
 */
#define VOID_CLAIM 1            /* a claim of an older generation comes after a newer one's */
#define VOID_EVENT 2            /* a deposed owner's event reaches the log */
#define DEPOSED 3               /* an owner reads a newer claim back from a gap */
#define INNOCENT_GAP 4          /* an owner reads a gap back and finds nothing that deposes it */
#define STALE_QUESTION 5        /* the read index deposes an owner that only wanted to answer */
#define KEPT 6                  /* a worker keeps the partition through a rebalance */
#define ANSWERED_AGAIN 7        /* a command that was decided is delivered again and answered from state */
#define LATE_FROM_THE_DEAD 8    /* an event arrives after its worker crashed, and counts */
#define RAISED_TERM 9           /* a claim with a raised term counts */
#define TAKEN_OVER 10           /* an owner ends the session of an older claim */
#define ZOMBIE_SESSION 11       /* a deposed owner opens a session */
#define DONE_BY_THE_THIRD 12    /* in the end the third owner has done everything */

#ifndef SITUATION
#define SITUATION 0
#endif

#define reached(name, condition)                   \
	if                                             \
	:: name == SITUATION && (condition) ->         \
		printf("situation: ");                     \
		printf(#name);                             \
		printf("\n");                              \
		assert(false)                              \
	:: else                                        \
	fi

/* A step is told in words when a counterexample is replayed. */
#define tell printf
