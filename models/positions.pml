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
 *   LATE_FENCE         streaming begins before the fence stands
 *   POINT_BEFORE_ACK   a point vouches for a row that is still on its way
 *   ONE_FENCE_KEY      fences have one key, so that compaction removes the older of two
 *   EAGER_REMOVAL      older fences are removed while points that they made void are still there
 */
#include "ownership/promises.pml"

#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef ROWS
#define ROWS 2
#endif
/* Points that are written in all, by whomever. */
#ifndef POINTS
#define POINTS 3
#endif
#ifndef TOPIC_LENGTH
#define TOPIC_LENGTH 15
#endif

#define NOTHING 0
#define POINT 1
#define FENCE 2
/* The removal of a fence: a record with its key and without a value. */
#define REMOVAL 3

/*
 * The positions: `row` of a point is the last row that it vouches for. A record that compaction removed is NOTHING;
 * `superseded` says that it may be.
 */
typedef Position {
	unsigned kind : 2;
	unsigned claim : 3;
	unsigned row : 2;
	unsigned superseded : 1
}
Position positions[TOPIC_LENGTH];
byte positions_end;

/* What readers of the broadcasts make of them: the highest claim that they saw, and the rows that they took. */
byte seen;
byte taken;
/* The newest claim that has fenced or begun; only the promise looks at it. What a deposed owner begins with is no loss. */
byte newest;
byte points_left = POINTS;
#define bit_of(row) (1 << (row))
#define all_through(row) ((1 << (row)) - 1)

/* Scratch of one step. */
byte at;
byte highest;
byte fences;
byte older;
byte start;
byte voids;

#ifdef ONE_FENCE_KEY
#define is_same_fence(older, with_claim) (true)
#else
#define is_same_fence(older, with_claim) (positions[older].claim == with_claim)
#endif
#define has_key_of(older, what, with_claim)                                \
	((positions[older].kind == POINT && what == POINT) ||                  \
	 (positions[older].kind == FENCE && what != POINT && is_same_fence(older, with_claim)))

inline append(what, with_claim, last_row) {
	assert(positions_end < TOPIC_LENGTH);
	at = 0;
	do
	:: at < positions_end ->
		positions[at].superseded = (positions[at].superseded || has_key_of(at, what, with_claim) -> 1 : 0);
		at++
	:: else -> break
	od;
	at = 0;
	positions[positions_end].kind = what;
	positions[positions_end].claim = with_claim;
	positions[positions_end].row = last_row;
	positions_end++
}

/*
 * Points.take, for every record through `last`: the row to begin after, the highest fence, the fences
 * that are there, the number of void points.
 */
inline read_points(last) {
	at = 0;
	highest = 0;
	fences = 0;
	start = 0;
	voids = 0;
	do
	:: at <= last ->
		if
		:: positions[at].kind == FENCE ->
			highest = (positions[at].claim > highest -> positions[at].claim : highest);
			fences = fences | (1 << positions[at].claim)
		:: positions[at].kind == REMOVAL -> fences = fences & ~(1 << positions[at].claim)
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
	fences = 0;
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
	newest = (claim > newest -> claim : newest);
	promise(nothing_lost, claim < newest || (taken & all_through(row)) == all_through(row));
	delivered = row;
	sent = row;
	status = STREAMING
}

proctype Worker(byte claim) {
	byte status = FENCING;
	byte fence_at;
	byte sent;
	byte delivered;
	/* The fences that it will remove, one bit for each claim. */
	byte older_fences;
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
		begin_after(start);
		clear_reading()
	}
	:: d_step {
		status == STREAMING && fence_at == 0 ->
		append(FENCE, claim, 0);
		fence_at = positions_end;
		tell("worker %d: appends its fence\n", claim)
	}
#else
	:: d_step {
		status == FENCING ->
		append(FENCE, claim, 0);
		fence_at = positions_end - 1;
		newest = (claim > newest -> claim : newest);
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
			older_fences = fences & ~(1 << claim)
#else
			older_fences = (voids == 0 -> fences & ~(1 << claim) : 0)
#endif
		fi;
		clear_reading()
	}
	/* The fences that it read before its own, one after another; it may be frozen in between. */
	:: d_step {
		older_fences != 0 ->
		at = 0;
		do
		:: (older_fences & (1 << at)) == 0 -> at++
		:: else -> break
		od;
		older_fences = older_fences & ~(1 << at);
		older = at;
		append(REMOVAL, older, 0);
		tell("worker %d: removes the fence of worker %d\n", claim, older);
		older = 0
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

inline compact(offset) {
	tell("broker: compaction removes worker %d's record at %d\n", positions[offset].claim, offset);
	positions[offset].kind = NOTHING;
	positions[offset].claim = 0;
	positions[offset].row = 0;
	positions[offset].superseded = 0
}

#define may_compact(offset) \
	:: d_step { offset < TOPIC_LENGTH && positions[offset].superseded -> compact(offset) }

/* Whatever has a later record with its key may be removed, at any time. */
proctype Compaction() {
end:
	do
	may_compact(0)
	may_compact(1)
	may_compact(2)
	may_compact(3)
	may_compact(4)
	may_compact(5)
	may_compact(6)
	may_compact(7)
	may_compact(8)
	may_compact(9)
	may_compact(10)
	may_compact(11)
	may_compact(12)
	may_compact(13)
	may_compact(14)
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
