/*
 * Rows of one tenant's database, broadcast by workers under their claims, and the points to resume from.
 *
 * Readers drop a broadcast whose claim is lower than one that they have seen. A frozen owner that wakes up may deliver
 * rows that readers drop, and then vouch for them with a resume point; so whoever takes the partition first appends a
 * fence to the positions, and reads what counts before it. The positions are compacted: of two records with one key,
 * the older may be removed at any time. A claim's number is the worker's, from 1; as in models/ownership.pml, freezing
 * is not moving.
 *
 * Broken rules, one macro each:
 *   NO_FENCE           there are no fences, and every point counts
 *   LATE_FENCE         the points are read before the fence stands
 *   POINT_BEFORE_ACK   a point vouches for a row that is still on its way
 *   ONE_FENCE_KEY      fences have one key, so that compaction removes the older of two
 *   EAGER_REMOVAL      older fences are removed while points that they made void are still there
 */
#include "ownership/promises.pml"

#ifndef WORKERS
#define WORKERS 4
#endif
#ifndef ROWS
#define ROWS 2
#endif
#ifndef POINTS
#define POINTS 1
#endif
#ifndef TOPIC_LENGTH
#define TOPIC_LENGTH 15
#endif

#define NOTHING 0
#define POINT 1
#define FENCE 2
/* The removal of a fence: a record with its key and without a value. */
#define REMOVAL 3

/* The positions: `row` of a point is the last row that it vouches for. A record that compaction removed is NOTHING. */
typedef Position {
	byte kind;
	byte claim;
	byte row
}
Position positions[TOPIC_LENGTH];
byte positions_end;

/* What readers of the broadcasts make of them: the highest claim that they saw, and the rows that they took. */
byte seen;
byte taken;
#define bit_of(row) (1 << (row))
#define all_through(row) ((1 << (row)) - 1)

byte at;
byte highest;
byte start;
byte voids;

inline append(what, with_claim, last_row) {
	assert(positions_end < TOPIC_LENGTH);
	positions[positions_end].kind = what;
	positions[positions_end].claim = with_claim;
	positions[positions_end].row = last_row;
	positions_end++
}

/* Points.take, for every record through `last`: the row to begin after, the highest fence, the number of void points. */
inline read_points(last) {
	at = 0;
	highest = 0;
	start = 0;
	voids = 0;
	do
	:: at <= last ->
		if
		:: positions[at].kind == FENCE && positions[at].claim > highest -> highest = positions[at].claim
		:: positions[at].kind == POINT && positions[at].claim >= highest -> start = positions[at].row
		:: positions[at].kind == POINT && positions[at].claim < highest -> voids++
		:: else
		fi;
		at++
	:: else -> break
	od;
	at = 0
}

inline clear_reading() {
	highest = 0;
	start = 0;
	voids = 0
}

/* How a worker stands to its stream. */
#define FENCING 0
#define FENCED 1
#define STREAMING 2
#define TOO_LATE 3

inline begin_after(row) {
	tell("worker %d: streams from row %d on\n", claim, row + 1);
	promise(nothing_lost, (taken & all_through(row)) == all_through(row));
	delivered = row;
	sent = row;
	status = STREAMING
}

proctype Worker(byte claim) {
	byte status = FENCING;
	byte fence_at;
	byte sent;
	byte delivered;
	byte points_left = POINTS;
	byte removed;
	bool may_remove;
end:
	do
#ifdef NO_FENCE
	:: d_step {
		status == FENCING ->
		read_points(positions_end - 1);
		begin_after(start);
		clear_reading()
	}
#elif defined(LATE_FENCE)
	:: d_step {
		status == FENCING ->
		read_points(positions_end - 1);
		delivered = start;
		status = FENCED;
		clear_reading();
		tell("worker %d: reads that row %d was the last\n", claim, delivered)
	}
	:: d_step {
		status == FENCED ->
		append(FENCE, claim, 0);
		tell("worker %d: appends its fence\n", claim);
		begin_after(delivered)
	}
#else
	:: d_step {
		status == FENCING ->
		append(FENCE, claim, 0);
		fence_at = positions_end - 1;
		status = FENCED;
		tell("worker %d: appends its fence\n", claim)
	}
	:: d_step {
		status == FENCED ->
		read_points(fence_at);
		if
		:: highest > claim ->
			status = TOO_LATE;
			tell("worker %d: finds a newer fence\n", claim)
		:: else ->
			begin_after(start);
#ifdef EAGER_REMOVAL
			may_remove = true
#else
			may_remove = (voids == 0)
#endif
		fi;
		clear_reading()
	}
	/* Fences that stood before its own; it read no others. */
	:: d_step {
		may_remove && removed < fence_at ->
		if
		:: positions[removed].kind == FENCE ->
			append(REMOVAL, positions[removed].claim, 0);
			tell("worker %d: removes the fence of worker %d\n", claim, positions[removed].claim)
		:: else
		fi;
		removed++
	}
#endif
	:: d_step {
		status == STREAMING && sent == delivered && sent < ROWS ->
		sent++;
		tell("worker %d: sends row %d\n", claim, sent)
	}
	:: d_step {
		status == STREAMING && delivered < sent ->
		delivered = sent;
		if
		:: claim >= seen ->
			seen = claim;
			taken = taken | bit_of(delivered - 1);
			tell("worker %d: row %d is delivered\n", claim, delivered)
		:: else ->
			tell("worker %d: row %d is delivered, and dropped by readers\n", claim, delivered)
		fi
	}
#ifdef POINT_BEFORE_ACK
#define proved sent
#else
#define proved delivered
#endif
	:: d_step {
		status == STREAMING && points_left > 0 && proved > 0 ->
		points_left--;
		append(POINT, claim, proved);
		tell("worker %d: writes that row %d was the last\n", claim, proved)
	}
	od
}

/* The broker may remove a record that has a later one with its key; a removal itself has done its work by then. */
#ifdef ONE_FENCE_KEY
#define same_fence_key(older, newer) (true)
#else
#define same_fence_key(older, newer) (positions[older].claim == positions[newer].claim)
#endif
#define same_key(older, newer)                                                                     \
	((positions[older].kind == POINT && positions[newer].kind == POINT) ||                         \
	 (positions[older].kind == FENCE && (positions[newer].kind == FENCE || positions[newer].kind == REMOVAL) && \
	  same_fence_key(older, newer)))

inline compact(older, newer) {
	tell("broker: compaction removes %d's record at %d\n", positions[older].claim, older);
	positions[older].kind = NOTHING;
	positions[older].claim = 0;
	positions[older].row = 0
}

proctype Compaction() {
	byte older;
	byte newer;
end:
	do
	:: atomic {
		positions_end > 1 ->
		select(older : 0 .. positions_end - 2);
		select(newer : older + 1 .. positions_end - 1);
		if
		:: d_step { same_key(older, newer) -> compact(older, newer) }
		:: else
		fi;
		older = 0;
		newer = 0
	}
	od
}

init {
	byte worker;
	atomic {
		for (worker : 1 .. WORKERS) {
			run Worker(worker)
		}
		worker = 0;
		run Compaction()
	}
}
