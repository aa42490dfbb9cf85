/*
 * One events partition, its tenant, and the workers that may own it.
 *
 * The model follows the code step by step; each step of a process is one turn of a worker's event loop, one
 * record reaching the broker, or one decision of the group's coordinator. A frozen worker needs no step of its
 * own: it is a worker that does not move for a while, and no step has to be taken at any time. Likewise a slow
 * acknowledgement, a late assignment and a partitioned network are steps that come late.
 *
 * What is checked stands in ownership/promises.pml. Sizes and deliberately broken rules are set with -D;
 * ownership/sizes.pml lists them.
 */
#include "ownership/sizes.pml"
#include "ownership/records.pml"
#include "ownership/surroundings.pml"
#include "ownership/promises.pml"
#include "ownership/fold.pml"
#include "ownership/broker.pml"
#include "ownership/group.pml"
#include "ownership/owner.pml"
#include "ownership/recovery.pml"
#include "ownership/effects.pml"
#include "ownership/worker.pml"
#include "ownership/quiet.pml"

init {
	byte w;
	atomic {
		write_script();
		run Broker();
		run Group();
		for (w : 0 .. WORKERS - 1) {
			run Worker(w)
		}
		w = 0;
#if ROUTED
		run Router();
#endif
		run Quiet()
	}
}
