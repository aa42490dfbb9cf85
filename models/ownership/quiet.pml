/* When nothing can happen any more, all that was asked must have been done, unless the one who should do it is dead. */

#define everything_done(w)                                                                    \
	(worker[w].status == OWNER && !worker[w].lost && worker[w].claim == truth.claim && worker[w].position == region_length &&   \
	 worker[w].flight[0].use == 0 && committed == region_length)

proctype Quiet() {
end:
	timeout;
	promise(nobody_is_stuck,
		generation == 0 || assignee >= WORKERS || worker[assignee].status == DEAD || everything_done(assignee));
	reached(DONE_BY_THE_THIRD, generation > 2 && assignee == 2 && everything_done(2))
}
