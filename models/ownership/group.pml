/*
 * The group's coordinator. It may assign the partition anew at any time, to anybody, whether or not those who had it
 * have noticed: that is what a session timeout does to a frozen worker. Members hear of it when they move.
 *
 * Workers are alike, so one that never had the partition may stand for any other such: they are introduced in turn.
 */
inline assign(w) {
	assignments_left--;
	generation++;
	assignee = w;
	introduced = (w == introduced -> introduced + 1 : introduced);
	tell("group: generation %d, the partition is worker %d's\n", generation, w)
}

#define may_assign(w) (assignments_left > 0 && w <= introduced)

proctype Group() {
#if GROUPS > 1
	bool anew = false;
#endif
end:
	do
	:: d_step { may_assign(0) -> assign(0) }
#if WORKERS > 1
	:: d_step { may_assign(1) -> assign(1) }
#endif
#if WORKERS > 2
	:: d_step { may_assign(2) -> assign(2) }
#endif
#if WORKERS > 3
	:: d_step { may_assign(3) -> assign(3) }
#endif
#if GROUPS > 1
	:: d_step {
		!anew && assignments_left > 0 && generation > 0 ->
		anew = true;
		group++;
		generation = 0;
		committed = 0;
		assignee = WORKERS;
		tell("group: is made anew; generations begin again, committed offsets are forgotten\n")
	}
#endif
	od
}
