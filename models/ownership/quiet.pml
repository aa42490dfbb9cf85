/* When nothing can happen any more, all that was asked must have been done, unless the one who should do it is dead. */

#define everything_done(w)                                                                                        \
	(worker[w].status == OWNER && !worker[w].lost && worker[w].flight[0].use == 0 && worker[w].asking.use == 0 && \
	 worker[w].position == region_length && committed == region_length && owns_for_certain(w))

/*
 * A claim that a dead group left on its way may depose an owner that has nothing to do and does not notice; what makes
 * it notice is the next event, or the canary.
 */
#if GROUPS > 1
#define owns_for_certain(w) (true)
#else
#define owns_for_certain(w) (worker[w].claim == truth.claim)
#endif

proctype Quiet() {
end:
	timeout;
	promise(nobody_is_stuck,
		generation == 0 || assignee >= WORKERS || worker[assignee].status == DEAD || everything_done(assignee));
	reached(DONE_BY_THE_THIRD, generation > 2 && assignee == 2 && everything_done(2))
}
