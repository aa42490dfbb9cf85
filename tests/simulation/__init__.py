"""A deterministic simulation of the whole protocol: the real worker in a world where everything outside it is chance.

What is real: `streams.service.worker.Worker` with all that it is made of. Claims, recovery, ownership, the contiguity
check and the reading back of gaps, decisions, answers, waiters, timers, the router, the log's producer and read index,
commits, the alignment of runs, snapshots, effects with their lock, fences and resume points, the catalog's and the
users' view; below them the pure core. What is simulated lies at the edges (`edges` lists every one): Kafka's
partitions, group coordinator and clients, Faust's services around the engine, PostgreSQL's sessions and locks, the
stream of rows, threads, clocks, disks and the network.

Why so: the shell is asyncio code without threads of its own in the hot path, so an event loop of ours can run it. Each
process has its own loop (`loop`), all share one virtual clock, and one step is one callback of one loop or one thing
that the world does (`scheduler`). A process can be frozen or killed between any two callbacks, and nothing has to be
written twice: what is tested is what runs.

A seed decides everything. It is drawn which faults come, at which step and at which point of a worker's work
(`faults`); clients, gateways and rows keep the world busy (`callers`, `gateways`, `rows`). After every step:

- every record of the log is judged by the real reader and by rules written anew, and they agree; sequences have no gap,
  the chain is whole, a command has one outcome, no deadline is acted on early (`ledger`);
- whoever owns a partition owns it alone under its claim, and its state is the log's (`world`);
- every answer names events that count, shows a state of the log, misses nothing that counted when it was asked nor
  anything before its position, and comes from no deposed owner (`answers`);
- no session is opened without the event that calls for it, and none outlives a newer claim's (`sessions`).

After the faults everything has to settle within a bound (`settlement`): every deadline kept, every caller answered,
every partition owned once, all tenants connected, all durable rows delivered, nothing lost, and readers who read in
pieces and twice come to the same state.

What is not simulated: Kafka's own replication and its leaders (what is acknowledged stays), fetches that return a part
of a transaction, the bytes of PostgreSQL's and Kafka's protocols, RocksDB's own files, migrations file by file, TLS,
and whatever happens inside one callback. Those are the integration tests' and the chaos tests'.

``make simulate SEEDS=1000 STEPS=6000`` runs seeds until one fails, makes it small, and says how to have it again;
``SEED=17`` runs that one and writes its schedule down. `seeds` keeps those that found something.
"""
