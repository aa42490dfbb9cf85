/* A worker: its event loop does one of these at a time, and may be frozen before any. */
proctype Worker(byte w) {
end:
	do
	:: d_step { may_rejoin(w) -> rejoin(w) }
#ifdef EARLY_DECIDING
	:: d_step { worker[w].status == CLAIMED -> settle_early(w) }
#else
	:: d_step { worker[w].status == CLAIMED -> settle(w, log_end - 1) }
	:: d_step { worker[w].status == CLAIMED && worker[w].claim < log_end -> settle(w, worker[w].claim - 1) }
#endif
	:: d_step { worker[w].status == PROVED && wire_has_room(w) -> raise_term(w) }
	:: d_step { may_take(w) -> take(w) }
#ifdef INPUT_HOLE
	:: d_step {
		may_take(w) && worker[w].position + 1 < region_length ->
		worker[w].position = worker[w].position + 1;
		tell("worker %d: is not given command %d\n", w, worker[w].position - 1)
	}
#endif
	:: d_step { may_ask(w) -> ask(w) }
	:: d_step { may_land(w) -> land(w) }
	:: d_step { may_commit(w) -> commit(w) }
#if SNAPSHOTS
	:: d_step { may_store(w) -> store(w) }
#endif
#if SESSIONS
	:: d_step { may_open(w) -> open_session(w) }
	:: d_step { may_take_over(w) -> take_over(w) }
	:: d_step { may_notice(w) -> notice(w) }
	:: d_step { may_let_go(w) -> let_go(w) }
	:: d_step { may_close(w) -> close(w) }
#endif
	/* Who was deposed, or was given the partition and could not claim it, and is not relieved, ends itself. */
	:: d_step {
		worker[w].lost || (worker[w].status == OUT && is_member(w) && assignee == w) ->
		end_process(w);
		tell("worker %d: does not own what it was given, ends itself\n", w)
	}
	/* A crash: what is on its way arrives later, or never. */
	:: d_step {
		crashes_left > 0 && worker[w].status != DEAD && w < introduced ->
		crashes_left--;
		end_process(w);
		tell("worker %d: crashes\n", w)
	}
	:: d_step {
		crashes_left > 0 && worker[w].status != DEAD && wire[w].length > 0 ->
		crashes_left--;
		end_process(w);
		lose_wire(w);
		tell("worker %d: crashes, and what it sent is lost\n", w)
	}
	od
}
